"""Disputes over stolen models: who is named, and what date and lineage alone would have said.

For each seed an owner marks a network and releases it.  A thief who has it and 15 % of the data
that the owner never saw overwrites it with a mark of their own at learning rate .01 or .05, in
turns, and fine-tunes it; that is what the thief ships, and the owner finds.  The thief also has

- own: a network trained from nothing on these samples, with the thief's mark alone;
- washed: the owner's, taught the thief's mark at the least rate of some at which the owner's is
  gone;
- near: the owner's, taught the thief's mark and the answers that *own* gives to the inputs of
  lineage, at the highest rate of some at which the owner's mark stays, so that it carries both.

No thief can tell which rate that is; this one is taken to be lucky.  Release records and claims are
dated: the owner's on day 0 (the claim the day before), the suspect on day 2, the thief's as each
dispute says.  What the thief has signed states true times: whoever states an earlier one is never
shown to be late, as is whoever shows nothing.  In the first two disputes the owner has to be named;
the third is the thief with an older claim and an older model of his own.

Then lineage is asked for pairs of originals and suspects that have nothing to do with each other:
how often does the sign test come out at 2**-20 all the same?

Last the suspect is fine-tuned as ``wmx dispute --data`` does it, on the thief's samples, and it is
noted whose mark kept the greater part of its bits.  Models lie in the work folder, and the result
is written anew after every seed; ``--resume`` keeps the seeds that it holds.

    python benchmarks/disputes.py --data digits --epochs 15 --work disputes-work
"""

import argparse
import hashlib
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import harness
import numpy as np
from attacks import NETWORK, stolen
from splits import data_name, owner_and_attacker

from wmx import OwnerKey, Watermark, open_suspect
from wmx.attacks.attack import Target
from wmx.attacks.training.overwriting import CREATED, Overwriting, own_key, own_watermark
from wmx.disputes.fine_tuning import FineTuned, default_training, fine_tune
from wmx.disputes.held import Exhibit
from wmx.disputes.lineage import NEARER_BITS, Reader, seed_of, trace
from wmx.disputes.lineage_inputs import Scope, draw
from wmx.disputes.party import Party, Shown
from wmx.disputes.settling import Settlement, settle
from wmx.protocol.dating import UNDATED, Dating
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Relation, Release
from wmx.statistics.probe import Probe
from wmx.suspect.onnx_file import OnnxFile
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.loop import evaluate, fit
from wmx.training.plugins import load_adapter
from wmx.training.run_dir import RunFiles
from wmx.verification.verdict import judge

FRAMEWORK = "torch"
RATES = (0.01, 0.05)
WASHING_RATES = (0.1, 0.2, 0.4, 0.8)
TEACHING_RATES = (0.02, 0.01, 0.005, 0.0025)
DATED_BITS = 64.0  # that a dated claim is asked for; below half of them a mark is gone
TAUGHT = 2048  # inputs of the families of lineage
# the thief's claim states CREATED, and was made the day after the owner's release
START = datetime.fromisoformat(CREATED) - timedelta(days=1)
NAMED = ("later own model", "signs what he ships")  # in these the owner has to be named
OLDER = "older claim and older own model"
NULL_TRIPLES = 300


@dataclass(frozen=True)
class Marker:
    """Somebody with a mark: its name, key and watermark."""

    name: str
    key: OwnerKey
    mark: Watermark

    def party(self, claimed: Dating) -> Party:
        """Return the side that it is in a dispute."""
        return replace(Party.from_watermark(self.name, self.mark, ()), dating=claimed)

    def shows(self, path: Path, dating: Dating, relation: Relation = Relation.own) -> Shown:
        """Return its record of a model, dated."""
        record = Release.sign(
            self.key,
            self.mark.claim,
            relation=relation,
            model=reference_to(path),
            software="benchmarks/disputes.py",
        )
        return Shown(record, dating, UNDATED, path)


@dataclass(frozen=True)
class Theft:
    """Everything that owner and thief have.

    Attributes:
        owner, thief: who they are.
        original: what the owner released.
        shipped, own, washed, near: what the thief has.
    """

    owner: Marker
    thief: Marker
    original: Path
    shipped: Path
    own: Path
    washed: Path
    near: Path


def day(number: float) -> Dating:
    return Dating(START + timedelta(days=number), "TSA", accuracy=timedelta(seconds=1))


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


def trained(
    path: Path,
    data: LabeledData,
    mark: Watermark,
    settings: Sequence[Training],
    suits: Callable[[Path], bool] = lambda path: True,
) -> Path:
    """Return a network with a mark, which is trained if it is not there.

    Args:
        path: where it lies.
        data, mark: that it is trained with.
        settings: tried in this order, until one suits; the last is kept if none does.
        suits: says so of an exported network.
    """
    if path.exists():
        return path
    adapter = load_adapter(FRAMEWORK)
    part = path.with_suffix(".part.onnx")
    for training in settings:
        model = fit(adapter, data, mark.task, mark, training)
        adapter.export(model, part, mark.task, force=True)
        if suits(part):
            break
    accuracy = evaluate(adapter, model, data.x_test, data.y_test, mark.task)
    print(f"{path.name} at {training.learning_rate}: accuracy {accuracy:.4f}", flush=True)
    part.rename(path)
    return path


def bits_of(path: Path, mark: Watermark) -> float:
    return judge(open_suspect(path, "cpu", own=True), mark).bits


def run_folder(seed: int, arguments: argparse.Namespace) -> Path:
    work: Path = arguments.work
    return work / f"{data_name(arguments.data)}_{arguments.epochs}_{seed}"


def theft_of(
    seed: int, data: LabeledData, attacker: LabeledData, arguments: argparse.Namespace
) -> tuple[Theft, Target]:
    """Return what owner and thief have, with what lies in the work folder taken from there."""
    training = Training(model=NETWORK, epochs=arguments.epochs, seed=seed, device="cpu")
    run = run_folder(seed, arguments)
    watermark, target = stolen(run, data, attacker, training, FRAMEWORK)
    folder = run / "thief"
    rate = RATES[seed % len(RATES)]
    shipped = overwritten(target, rate, arguments.thief_epochs, folder)
    mark, original = own_watermark(target), RunFiles(run)
    key = OwnerKey.load(run.parent / f"{run.name}.pem")
    own = trained(
        folder / "own.onnx",
        attacker,
        mark,
        [replace(training, seed=seed + 1_000_000, epochs=n * training.epochs) for n in (1, 3, 9)],
        lambda path: bits_of(path, mark) > 2 * DATED_BITS,
    )
    stolen_weights = replace(
        training, epochs=arguments.thief_epochs, pretrained=original.weights, seed=seed + 2_000_000
    )
    washed = trained(
        folder / "washed.onnx",
        attacker,
        mark,
        [replace(stolen_weights, lr=rate) for rate in WASHING_RATES],
        lambda path: bits_of(path, watermark) < DATED_BITS / 4,
    )
    near = trained(
        folder / "near.onnx",
        taught_by(own, original.model, attacker, mark),
        mark,
        [replace(stolen_weights, lr=rate) for rate in TEACHING_RATES],
        lambda path: bits_of(path, watermark) > DATED_BITS + 10,
    )
    owner, thief = Marker("owner", key, watermark), Marker("thief", own_key(target), mark)
    return Theft(owner, thief, original.model, shipped, own, washed, near), target


def taught_by(own: Path, original: Path, data: LabeledData, mark: Watermark) -> LabeledData:
    """Return the thief's samples, and the inputs of lineage with the own model's answers."""
    names = [reference_to(path).identity for path in (own, original)]
    inputs = draw(seed_of(names), 0, TAUGHT, Scope.of([mark.task], []))
    predictions = reader(own, mark).predictions(inputs).top
    return LabeledData.of(
        np.concatenate([data.x_train, inputs]),
        np.concatenate([data.y_train, predictions]),
        data.x_test,
        data.y_test,
        data.name,
    )


def reader(path: Path, mark: Watermark) -> Reader:
    """Return a model of one's own making, read as it was exported."""
    model = OnnxFile.open_own(path, "cpu")
    layout = model.feedings(mark.task)[0].name
    return Reader(model, Probe(layout, model.session.outputs[0].name), mark.task)


def reference_to(path: Path) -> ModelReference:
    return ModelReference(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def disputes(theft: Theft) -> dict[str, Settlement]:
    """Return what every dispute ends with."""
    owner, thief = theft.owner, theft.thief
    released = owner.shows(theft.original, day(0))
    found = owner.shows(theft.shipped, day(2), Relation.found)
    ours, theirs = owner.party(day(-1)), thief.party(day(1))
    older = thief.party(day(-1000)), thief.shows(theft.own, day(-900))

    def ended(suspect: Path, claimed: Party, *records: Shown) -> Settlement:
        opened = open_suspect(suspect, "cpu", own=True)
        return settle(opened, [ours, claimed], records, device="cpu")

    washed = thief.shows(theft.washed, day(1.5))
    return {
        "later own model": ended(
            theft.shipped, theirs, released, found, thief.shows(theft.own, day(3))
        ),
        "signs what he ships": ended(
            theft.shipped, theirs, released, found, thief.shows(theft.shipped, day(1))
        ),
        OLDER: ended(theft.shipped, older[0], released, found, older[1]),
        "older own model, suspect brought near to it": ended(
            theft.near,
            older[0],
            released,
            owner.shows(theft.near, day(2), Relation.found),
            older[1],
        ),
        "own model between release and suspect": ended(
            theft.shipped, theirs, released, found, thief.shows(theft.own, day(1))
        ),
        "washed between release and suspect": ended(theft.shipped, theirs, released, found, washed),
        "washed after the suspect": ended(
            theft.shipped, theirs, released, found, thief.shows(theft.washed, day(3))
        ),
        "washed, owner has no release": ended(theft.shipped, theirs, found, washed),
        "washed, owner released after the suspect": ended(
            theft.shipped, theirs, found, washed, owner.shows(theft.original, day(3))
        ),
        "thief silent": ended(theft.shipped, theirs, released, found),
    }


def summary_of(settlement: Settlement) -> dict[str, Any]:
    """Return the figures of a dispute, and whom date and lineage alone would name."""
    exhibits = {one.identity: one for one in settlement.exhibits}
    lineages = [
        {
            "nearer": exhibits[one.nearer].party if one.nearer else None,
            "bits": round(one.bits, 1),
            "disagreements": f"{one.disagreements} of {one.inputs}",
            "sides": {exhibits[name].party: count for name, count in one.sides.items()},
        }
        for one in settlement.lineages.values()
    ]
    return {
        "outcome": settlement.outcome,
        "named": settlement.named,
        "bits": {party: round(held.bits, 1) for party, held in settlement.held.items()},
        "marks": {
            f"{number} {one.party}": {name: f"{held.bits:.1f}" for name, held in one.held.items()}
            for number, one in enumerate(settlement.exhibits)
        },
        "lineages": lineages,
        "date and lineage alone": by_date_and_lineage(settlement, exhibits),
    }


def by_date_and_lineage(settlement: Settlement, exhibits: dict[str, Exhibit]) -> str | None:
    """Return whose original is both the older and the nearer one, without any other condition."""
    for pair, lineage in settlement.lineages.items():
        one, other = (exhibits[name] for name in pair)
        older = one if one.shown.dating.is_before(other.shown.dating) else other
        if lineage.nearer == older.identity:
            return older.party
    return None


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
    seed: int, data: LabeledData, attacker: LabeledData, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return everything about one stolen model."""
    theft, _ = theft_of(seed, data, attacker, arguments)
    parties = [one.party(UNDATED) for one in (theft.owner, theft.thief)]
    tuning = default_training(arguments.tuning_epochs, seed=seed)
    suspect = open_suspect(theft.shipped, "cpu", own=True)
    return {
        "seed": seed,
        "thief_lr": RATES[seed % len(RATES)],
        "disputes": {name: summary_of(one) for name, one in disputes(theft).items()},
        "fine_tuning": described(fine_tune(suspect, parties, attacker, tuning)),
    }


def null(arguments: argparse.Namespace, data: LabeledData, seeds: range) -> dict[str, Any]:
    """Ask for lineage where there is none: originals and suspects of three different seeds."""
    folders = [
        arguments.work / f"{data_name(arguments.data)}_{arguments.epochs}_{s}" for s in seeds
    ]
    models = [
        [folder / "model.onnx", folder / "thief" / "own.onnx", unmarked_mlp(folder, data, seed)]
        for folder, seed in zip(folders, seeds, strict=True)
    ]
    found = []
    for first, second, suspect in islice(triples(models), NULL_TRIPLES):
        readers = [plain_reader(path, data) for path in (suspect, first, second)]
        names = (reference_to(first).identity, reference_to(second).identity)
        lineage = trace(readers[:1], readers[1], readers[2], [], names)
        if not lineage.alike:
            share = max(lineage.sides.values()) / lineage.disagreements
            found.append((lineage.bits, share))
    bits = [one for one, _ in found]
    return {
        "triples": len(found),
        f"bits of {NEARER_BITS:g} or more": sum(one >= NEARER_BITS for one in bits),
        "median bits": round(statistics.median(bits), 1),
        "most bits": round(max(bits), 1),
        "largest share of disagreements on one side": round(max(s for _, s in found), 3),
    }


def triples(models: list[list[Path]]) -> Iterator[tuple[Path, Path, Path]]:
    """Yield two originals and a suspect of three seeds, of all kinds, in an order drawn once."""
    rng = np.random.default_rng(0)
    while True:
        seeds = rng.choice(len(models), 3, replace=False)
        kinds = rng.integers(0, len(models[0]), 3)
        one, other, suspect = (models[s][k] for s, k in zip(seeds, kinds, strict=True))
        yield one, other, suspect


def unmarked_mlp(folder: Path, data: LabeledData, seed: int) -> Path:
    """Return a network of another architecture without a mark, trained if it is not there."""
    path = folder / "unmarked-mlp.onnx"
    if not path.exists():
        adapter = load_adapter(FRAMEWORK)
        training = Training(model="mlp", epochs=15, seed=seed, device="cpu")
        adapter.export(fit(adapter, data, data.task, None, training), path, data.task)
    return path


def plain_reader(path: Path, data: LabeledData) -> Reader:
    model = OnnxFile.open_own(path, "cpu")
    layout = model.feedings(data.task)[0].name
    return Reader(model, Probe(layout, model.session.outputs[0].name), data.task)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how often whom: by dispute, and by fine-tuning."""
    found: dict[str, Any] = {"models": len(runs)}
    for name in runs[0]["disputes"]:
        ends = [run["disputes"][name] for run in runs]
        alone = [end["date and lineage alone"] for end in ends]
        found[name] = {
            "owner named": sum(end["named"] == "owner" for end in ends),
            "thief named": sum(end["named"] == "thief" for end in ends),
            "undecided": sum(end["outcome"] == "undecided" for end in ends),
            "only one claim verifies": sum(end["outcome"] == "uncontested" for end in ends),
            "date and lineage alone would name the owner": alone.count("owner"),
            "date and lineage alone would name the thief": alone.count("thief"),
        }
    pointed = [run["fine_tuning"]["kept_most"] for run in runs]
    found["fine-tuning points to"] = {
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
    name = f"disputes_{data_name(arguments.data)}"
    settings = {
        "epochs": arguments.epochs,
        "thief_epochs": arguments.thief_epochs,
        "tuning_epochs": arguments.tuning_epochs,
    }
    runs = runs_so_far(name, settings) if arguments.resume else []
    data, attacker = owner_and_attacker(arguments.data)
    figures = {
        "data": Path(arguments.data).name,
        "train": len(data.y_train),
        "attacker": len(attacker.y_train),
        **settings,
    }
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.models)
    for seed in seeds[len(runs) :]:
        runs.append(run_of(seed, data, attacker, arguments))
        harness.record(name, {**figures, "runs": runs, "summary": summary(runs)})
    unrelated = null(arguments, data, seeds)
    harness.record(
        name, {**figures, "runs": runs, "summary": {**summary(runs), "unrelated": unrelated}}
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
