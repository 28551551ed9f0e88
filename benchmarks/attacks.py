"""What every recipe survives: all attacks of ``wmx attack`` on models of several seeds.

The owner trains on 70 % of the data, the attacker has 15 % that the owner has not seen, and 15 %
measure accuracy.  A killed campaign goes on where it stood: models and results of each seed lie in
the work folder, unmarked networks too, which all recipes share.

With ``--pretrained`` the mark comes into the unmarked network afterwards, in as many epochs again
at a fifth of the learning rate: the paper's "PreTrained", which has had twice the training.

    python benchmarks/attacks.py --data mnist10k.npz --seeds 3 --stack torch --work attacks-work
"""

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
from splits import data_name, owner_and_attacker
from stacks import STACKS, framework_of

from wmx import Claim, OwnerKey, Watermark
from wmx.attacks.attack import Framework, Target
from wmx.attacks.campaign import Step, attack_model
from wmx.attacks.catalogue import chosen_attacks
from wmx.attacks.results import Results
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.embed import embed
from wmx.training.loop import evaluate, fit
from wmx.training.plugins import load_adapter
from wmx.training.run_dir import RunFiles

NETWORK = "cnn"


def marked(folder: Path, data: LabeledData, training: Training, framework: str) -> Watermark:
    """Return the watermark of the run in ``folder``, which is trained if it is not finished."""
    key = folder.parent / f"{folder.name}.pem"
    if not key.exists():
        OwnerKey.generate().save(key)
    owner, files = OwnerKey.load(key), RunFiles(folder)
    if not files.model.exists():
        begun = files.claim.exists()
        embed(owner, data, folder, training=training, framework=framework, resume=begun)
    return Watermark.open(Claim.load(files.claim), owner, images=files.images())


def stolen(
    folder: Path,
    data: LabeledData,
    attacker: LabeledData,
    training: Training,
    framework: str,
) -> tuple[Watermark, Target]:
    """Return the watermark of the run in ``folder``, as ``marked``, and what a thief has of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    watermark, files = marked(folder, data, training, framework), RunFiles(folder)
    target = Target(
        model=files.model,
        task=watermark.task,
        family=watermark.generator,
        data=attacker,
        queries=data.x_train,
        seed=training.seed,
        framework=Framework(load_adapter(framework), NETWORK, files.weights, device="cpu"),
    )
    return watermark, target


def unmarked(work: Path, data: LabeledData, training: Training, stack: str) -> tuple[Path, float]:
    """Return weights and accuracy (0 to 1) of a network without a mark, trained if it is not there.

    Args:
        work: the campaign's folder.
        data: what to train on.
        training: the settings; the recipe is of no account.
        stack: names the network together with data, epochs and seed.
    """
    name = f"{data_name(data.name)}_{stack}_unmarked_{training.epochs}_{training.seed}"
    weights, figures = work / f"{name}.safetensors", work / f"{name}.json"
    if not figures.exists():
        work.mkdir(parents=True, exist_ok=True)
        adapter = load_adapter(framework_of(stack))
        model = fit(adapter, data, data.task, None, training)
        adapter.save_weights(weights, model)
        accuracy = evaluate(adapter, model, data.x_test, data.y_test, data.task)
        figures.write_text(json.dumps({"accuracy": accuracy}))
    return weights, float(json.loads(figures.read_text())["accuracy"])


def marked_afterwards(training: Training, weights: Path) -> Training:
    """Return the settings that bring the mark into a network that was trained without."""
    return replace(training, lr=training.learning_rate / 5, pretrained=weights)


def tell(step: Step) -> None:
    if step.result is not None:
        figures = [
            (one.variant, round(100 * one.accuracy, 2), one.hits, round(one.bits, 1))
            for one in step.result.outcomes
        ]
        print(f"{step.number}/{step.count} {step.name}", step.result.error or figures, flush=True)


def summary(runs: list[Results]) -> dict[str, Any]:
    """Return, for every attack and variant, accuracy in per cent and bits over the seeds."""
    found: dict[str, list[Any]] = {}
    for run in runs:
        for result in run.attacks:
            for one in result.outcomes:
                found.setdefault(f"{result.name} {one.variant}".strip(), []).append(one)
    return {
        name: {
            "accuracy": round(100 * statistics.mean(one.accuracy for one in outcomes), 2),
            "mean_bits": round(statistics.mean(one.bits for one in outcomes), 1),
            "bits": [round(one.bits, 1) for one in outcomes],
            "hits": [one.hits for one in outcomes],
            "verified": sum(one.verified for one in outcomes),
            "mean_notes": {
                note: round(statistics.mean(one.notes[note] for one in outcomes), 2)
                for note in outcomes[0].notes
            },
        }
        for name, outcomes in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=30, help="of the owner's training")
    parser.add_argument("--recipe", default="robust")
    parser.add_argument("--pretrained", action="store_true", help="mark trained networks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="select recipes on other seeds")
    parser.add_argument("--stack", choices=STACKS, default="torch")
    parser.add_argument("--attacks", default="all")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--work", type=Path, default=Path("attacks-work"))
    arguments = parser.parse_args()
    framework = framework_of(arguments.stack)
    data, attacker = owner_and_attacker(arguments.data)
    attacks = chosen_attacks(arguments.attacks, arguments.settings)
    recipe = arguments.recipe + ("-pretrained" if arguments.pretrained else "")
    stem = f"{data_name(arguments.data)}_{arguments.stack}_{recipe}_{arguments.epochs}"
    runs, differences, without = [], [], []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        training = Training(
            model=NETWORK,
            epochs=arguments.epochs,
            seed=seed,
            recipe=arguments.recipe,
            device="cpu",
        )
        weights, plain = unmarked(arguments.work, data, training, arguments.stack)
        if arguments.pretrained:
            training = marked_afterwards(training, weights)
        folder = arguments.work / f"{stem}_{seed}"
        watermark, target = stolen(folder, data, attacker, training, framework)
        path = folder / "attacks.json"
        run = attack_model(target, watermark, attacks, path, resume=True, report=tell)
        without.append(round(100 * plain, 2))
        differences.append(round(100 * (run.before.accuracy - plain), 2))
        runs.append(run)
    harness.record(
        f"attacks_{stem}",
        {
            "data": Path(arguments.data).name,
            "stack": arguments.stack,
            "recipe": recipe,
            "epochs": arguments.epochs,
            "seeds": [run.about["seed"] for run in runs],
            "train": len(data.y_train),
            "attacker": len(attacker.y_train),
            "test": len(attacker.y_test),
            "accuracy_unmarked": without,
            "marked_minus_unmarked_points": differences,
            "before_bits": [round(run.before.bits, 1) for run in runs],
            "triggers": runs[0].before.n,
            "before_hits": [run.before.hits for run in runs],
            "summary": summary(runs),
            "settings": {name: attack.settings() for name, attack in attacks.items()},
        },
    )


if __name__ == "__main__":
    main()
