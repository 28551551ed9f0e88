"""Disputes over stolen models: who is named, and how often fine-tuning would point to the thief.

For each seed an owner marks a network; a thief who has it and 15 % of the data that the owner never
saw overwrites it with a mark of his own at learning rate .01 or .05, in turns, and fine-tunes it.
Then four disputes are settled over the file that the thief ships:

- timestamps: the owner's is a day older than the thief's;
- originals: the owner gives the model as exported, the thief the one that he ships;
- made: the thief gives a network that he trained with his own mark alone;
- neither: nobody shows anything.

Last the suspect is fine-tuned as ``wmx dispute --data`` does it, on the thief's samples, and it is
noted whose mark kept the greater part of its bits.  Models lie in the work folder, and the result
is written anew after every seed; ``--resume`` keeps the seeds that it holds.

    python benchmarks/disputes.py --data mnist10k.npz --models 12 --work disputes-work
"""

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import harness
from attacks import NETWORK, stolen
from splits import owner_and_attacker

from wmx import Watermark
from wmx.adapters import load_adapter
from wmx.attacks.attack import Target
from wmx.attacks.training.overwriting import Overwriting, own_watermark
from wmx.data import LabelledData
from wmx.disputes.fine_tuning import FineTuned, default_training, fine_tune
from wmx.disputes.party import Party
from wmx.disputes.settling import Settlement, settle
from wmx.suspect import open_suspect
from wmx.timestamp import Dating
from wmx.trainer import fit
from wmx.training import Training

FRAMEWORK = "torch"
RATES = (0.01, 0.05)
STAMP = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def overwritten(target: Target, rate: float, epochs: int, folder: Path) -> Path:
    """Return what the thief ships, which is made if it is not there."""
    shipped = folder / "overwritten,-then-fine-tuned.onnx"
    if not shipped.exists():
        folder.mkdir(exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        attack = Overwriting(lr=rate, epochs=epochs, clean_epochs=max(1, epochs // 2))
        list(attack.run(target, folder, lambda done, count: None))
    return shipped


def made_for_it(target: Target, thief: Watermark, training: Training, folder: Path) -> Path:
    """Return a network trained from nothing on the thief's samples, with his mark alone."""
    path = folder / "made.onnx"
    if not path.exists():
        adapter = load_adapter(FRAMEWORK)
        model = fit(adapter, target.data, target.task, thief, training)
        adapter.export(model, path, target.task)
    return path


def disputes(owner: Party, thief: Party, shipped: Path, kept: Path, made: Path) -> dict[str, Any]:
    """Return what every dispute ends with."""
    late = replace(thief, dating=Dating(STAMP + timedelta(days=1), "TSA", accuracy=SECOND))
    own = replace(owner, original=kept)
    cases = {
        "timestamps": (replace(owner, dating=Dating(STAMP, "TSA", accuracy=SECOND)), late),
        "originals": (own, replace(thief, original=shipped)),
        "made": (own, replace(thief, original=made)),
        "neither": (owner, thief),
    }
    found: dict[str, Settlement] = {}
    for name, parties in cases.items():
        suspect = open_suspect(shipped, "cpu", own=True)
        found[name] = settle(suspect, parties, device="cpu")
    return {
        name: {
            "outcome": one.outcome,
            "named": one.named,
            "bits": {party: round(held.bits, 1) for party, held in one.held.items()},
            "verified": [party.name for party in one.standing],
        }
        for name, one in found.items()
    }


def described(tuned: FineTuned) -> dict[str, Any]:
    """Return the figures of a fine-tuning."""
    return {
        "failure": tuned.failure,
        "kept_most": tuned.kept_most,
        "accuracy": [round(100 * tuned.accuracy_before, 2), round(100 * tuned.accuracy_after, 2)],
        "bits": {
            name: [round(kept.before, 1), round(kept.after, 1)] for name, kept in tuned.kept.items()
        },
    }


def run_of(
    seed: int, data: LabelledData, attacker: LabelledData, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return everything about one stolen model."""
    training = Training(model=NETWORK, epochs=arguments.epochs, seed=seed, device="cpu")
    folder = arguments.work / f"{Path(arguments.data).stem}_{arguments.epochs}_{seed}"
    watermark, target = stolen(folder, data, attacker, training, FRAMEWORK)
    rate = RATES[seed % len(RATES)]
    shipped = overwritten(target, rate, arguments.thief_epochs, folder / "thief")
    mark = own_watermark(target)
    own_seed = replace(training, seed=seed + 1_000_000)
    made = made_for_it(target, mark, own_seed, folder / "thief")
    owner = Party.from_watermark("owner", watermark, ())
    thief = Party.from_watermark("thief", mark, ())
    tuning = default_training(arguments.tuning_epochs, seed=seed)
    tuned = fine_tune(open_suspect(shipped, "cpu", own=True), [owner, thief], attacker, tuning)
    return {
        "seed": seed,
        "thief_lr": rate,
        "disputes": disputes(owner, thief, shipped, target.model, made),
        "fine_tuning": described(tuned),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how often whom: by dispute, and by fine-tuning.

    Where only one mark is left there is no dispute; the thief's claim is then out, or the owner's.
    """
    found: dict[str, Any] = {"models": len(runs)}
    for name in runs[0]["disputes"]:
        ends = [run["disputes"][name] for run in runs]
        found[name] = {
            "owner named": sum(end["named"] == "owner" for end in ends),
            "thief named": sum(end["named"] == "thief" for end in ends),
            "undecided": sum(end["outcome"] == "undecided" for end in ends),
            "only the owner verifies": sum(end["verified"] == ["owner"] for end in ends),
            "only the thief verifies": sum(end["verified"] == ["thief"] for end in ends),
        }
    disputed = [run for run in runs if run["disputes"]["neither"]["outcome"] == "undecided"]
    pointed = [run["fine_tuning"]["kept_most"] for run in disputed]
    found["fine-tuning of those with both marks points to"] = {
        "owner": pointed.count("owner"),
        "thief": pointed.count("thief"),
        "nobody": pointed.count(None),
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=100, help="recipes were chosen on others")
    parser.add_argument("--epochs", type=int, default=30, help="of the owner's training")
    parser.add_argument("--thief-epochs", type=int, default=20, help="half as many clean ones")
    parser.add_argument("--tuning-epochs", type=int, default=20)
    parser.add_argument("--work", type=Path, default=Path("disputes-work"))
    parser.add_argument("--resume", action="store_true", help="go on behind the last seed there is")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    name = f"disputes_{Path(arguments.data).stem}"
    settings = {
        "epochs": arguments.epochs,
        "thief_epochs": arguments.thief_epochs,
        "tuning_epochs": arguments.tuning_epochs,
    }
    runs = runs_so_far(name, settings) if arguments.resume else []
    data, attacker = owner_and_attacker(arguments.data)
    for seed in range(arguments.first_seed + len(runs), arguments.first_seed + arguments.models):
        runs.append(run_of(seed, data, attacker, arguments))
        harness.record(
            name,
            {
                "data": Path(arguments.data).name,
                "train": len(data.y_train),
                "attacker": len(attacker.y_train),
                **settings,
                "runs": runs,
                "summary": summary(runs),
            },
        )


def runs_so_far(name: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs that the result holds; ``ValueError`` if they are of other settings."""
    path = harness.RESULTS / f"{name}.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    found = {setting: result[setting] for setting in settings}
    if found != settings:
        raise ValueError(f"{path} is of {found}, expected {settings}")
    runs: list[dict[str, Any]] = result["runs"]
    return runs


if __name__ == "__main__":
    main()
