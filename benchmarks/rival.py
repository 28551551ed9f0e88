"""wmx beside amulet (``amuletml``), the one maintained rival: the same data, network and attacks.

amulet trains the network, then marks it with Adi et al.'s trigger images, as its own example does,
in an environment of its own.  The attacks of ``wmx attack`` are then run on its network.  What is
left is judged by amulet's rule, more than 90 of 100 hits, and by wmx's evidence in bits, as if the
labels had been drawn at random.

amulet 0.6 gives its triggers the values 0 to 255 beside data of 0 to 1, which a network with
BatchNorm does not survive as a classifier.  ``--mended`` divides them by 255.

    python -m venv amulet && amulet/bin/pip install amuletml rfc8785 cryptography onnxruntime
    git clone https://github.com/ssg-research/amulet checkout
    python benchmarks/rival.py --data mnist10k.npz --python amulet/bin/python \
        --triggers checkout/miscellaneous/trigger_set --seeds 3
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
import numpy as np
from splits import data_name, owner_and_attacker

from wmx.attacks.attack import Framework, Outcome, Target
from wmx.attacks.campaign import accuracy
from wmx.attacks.catalogue import chosen_attacks
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.statistics.experts import count_hits, evidence_bits
from wmx.suspect.suspect import open_suspect
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.plugins import load_adapter
from wmx.training.weights import write_weights
from wmx.triggers import Cells

HERE = Path(__file__).parent
ATTACKS = (
    "int8-dynamic,int8-static,fp16,prune-70,ftll,ftal-0.01,ftal-0.05,rtll,rtal-0.05,"
    "fine-prune-70,fine-prune-90,overwrite-0.05"
)
PART = 0.9


def marked(
    data: LabeledData, arguments: argparse.Namespace, seed: int, folder: Path
) -> dict[str, Any]:
    """Return what amulet leaves behind: weights, triggers, labels and accuracies."""
    given, out = folder / "data.npz", folder / "amulet.npz"
    np.savez(
        given,
        x_train=data.x_train,
        y_train=data.y_train,
        x_test=data.x_test,
        y_test=data.y_test,
    )
    root = HERE.parent
    paths = os.pathsep.join(str(path.resolve()) for path in (root, root / "adapters"))
    subprocess.run(
        [
            arguments.python,
            HERE / "amulet_marks.py",
            given,
            arguments.triggers,
            out,
            f"--epochs={arguments.epochs}",
            f"--seed={seed}",
            *(["--mended"] if arguments.mended else []),
        ],
        check=True,
        stdout=sys.stderr,
        env=dict(os.environ, PYTHONPATH=paths),
    )
    return dict(np.load(out))


def measured(outcome: Outcome, made: dict[str, Any], task: Task) -> dict[str, Any]:
    """Return accuracy, hits, evidence bits and amulet's own judgement of an attacked network."""
    images, labels = 255 * made["triggers"].transpose(0, 2, 3, 1), made["labels"]
    predictions = max(
        (
            predictions
            for feeding in outcome.suspect.feedings(task)
            for predictions in outcome.suspect.predictions(feeding, images, task).values()
        ),
        key=lambda predictions: count_hits(predictions, labels),
    )
    hits = count_hits(predictions, labels)
    return {
        "accuracy": round(100 * accuracy(outcome.suspect, outcome.x_test, outcome.y_test, task), 2),
        "hits": hits,
        "bits": round(evidence_bits(predictions, labels, task.classes), 1),
        "amulet_says_mine": hits / len(labels) > PART,
    }


def run_of(
    seed: int, data: LabeledData, attacker: LabeledData, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return everything about one network."""
    adapter = load_adapter("torch")
    task = Task.of(data.x_train.shape[1:], data.classes)  # pixels 0 to 1: amulet does no more
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = marked(data, arguments, seed, folder)
        weights = {
            key.removeprefix("weights/"): value
            for key, value in made.items()
            if key.startswith("weights/")
        }
        target = shipped(adapter, task, weights, attacker, data, seed, folder)
        before = measured(target.outcome(open_suspect(target.model, "cpu", own=True)), made, task)
        found = {"before": before}
        for attack_name, attack in chosen_attacks(arguments.attacks).items():
            place = folder / attack_name
            place.mkdir()
            try:
                for outcome in attack.run(target, place, lambda done, count: None):
                    label = f"{attack_name} {outcome.variant}".strip()
                    found[label] = measured(outcome, made, task)
                    print(seed, label, found[label], flush=True)
            except CannotRunError as error:
                found[attack_name] = {"error": str(error)}
    return {
        "seed": seed,
        "accuracy_before_marking": round(float(made["accuracy_before"]), 2),
        "accuracy_after_marking": round(float(made["accuracy_after"]), 2),
        "amulet_verified": bool(made["verified"]),
        "attacks": found,
    }


def shipped(
    adapter: Any,
    task: Task,
    weights: dict[str, Any],
    attacker: LabeledData,
    data: LabeledData,
    seed: int,
    folder: Path,
) -> Target:
    """Return the target that amulet's network is for an attacker."""
    path = folder / "weights.safetensors"
    write_weights(path, weights)
    training = Training("cnn", 1, device="cpu", pretrained=path)
    learner = adapter.begin(task, None, training, steps=1, vocabulary=None)
    model = folder / "model.onnx"
    adapter.export(learner.model, model, task)
    return Target(
        model=model,
        task=task,
        family=Cells(7),
        data=attacker,
        queries=data.x_train,
        seed=seed,
        framework=Framework(adapter, "cnn", path, device="cpu"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--python", required=True, help="of the environment that has amuletml")
    parser.add_argument("--triggers", required=True, help="amulet's miscellaneous/trigger_set")
    parser.add_argument("--epochs", type=int, default=30, help="half before marking, half after")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--mended", action="store_true", help="triggers in pixels 0 to 1 too")
    parser.add_argument("--attacks", default=ATTACKS)
    arguments = parser.parse_args()
    data, attacker = owner_and_attacker(arguments.data)
    runs = []
    for seed in range(arguments.seeds):
        runs.append(run_of(seed, data, attacker, arguments))
        harness.record(
            f"amulet_{data_name(arguments.data)}{'_mended' if arguments.mended else ''}",
            {"data": Path(arguments.data).name, "epochs": arguments.epochs, "runs": runs},
        )


if __name__ == "__main__":
    main()
