"""How far does a forger get who has a model that was never marked?

The victim is a network that scikit-learn trains on real digits; the forger sees all of it.  He
makes claims over natural images, over adversarial examples, over triggers that were chosen one by
one, over the same triggers a million times, and over rows whose normalisation he chooses at last.
The best he gets is given to the verifier with the threshold of a dated claim.  Beside the last of
these stands what the draft scheme wmx-1, whose labels did not cover the task, would have given him.

    python benchmarks/forgeries.py
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from splits import train_and_test

from wmx import OwnerKey
from wmx.answers import Answers
from wmx.data import LabelledData
from wmx.statistics import evidence_bits
from wmx.task import Task

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from forging.claims import Attempt, attempt, forged
from forging.grinding import ground
from forging.images import adversarial, chased, hits_of, one_by_one
from forging.normalising import draft_labels, fitting_task, rows_for
from forging.victim import Victim

KEY = OwnerKey(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01"))
N = 100
ROWS = (50, 64, 100)


def on_images(data: LabelledData, grinds: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Return what claims over images of the forger's choice get."""
    task = data.task
    images = data.x_train.astype(np.uint8)
    inputs = task.model_input(images).reshape(len(images), -1)
    victim = Victim.trained(inputs, data.y_train, seed=0)
    file = victim.save(folder / "images.onnx", task.shape)
    test = task.model_input(data.x_test).reshape(len(data.x_test), -1)
    natural = images[:N]
    wanted = forged(KEY, task, natural).labels
    crafted = adversarial(victim, task, natural, wanted)
    answers = victim.answers(inputs[:N])
    began = time.perf_counter()
    best = ground(KEY, task, natural, answers, tries=grinds)
    seconds = time.perf_counter() - began
    chosen, tries = one_by_one(victim, task, KEY, natural)
    return {
        "victim_accuracy": round(100 * float((victim.answers(test) == data.y_test).mean()), 2),
        "adversarial_examples_that_fool_it": int(
            (victim.answers(task.model_input(crafted).reshape(N, -1)) == wanted).sum()
        ),
        "attempts": {
            "natural images": figures(attempt(file, forged(KEY, task, natural), 1)),
            "adversarial examples": figures(attempt(file, forged(KEY, task, crafted), 1)),
            "adversarial examples made anew for each draw of the labels": figures(
                attempt(file, chased(victim, task, KEY, natural, rounds), rounds)
            ),
            "triggers chosen one by one": figures(attempt(file, chosen, tries)),
            "grinding notes over the same triggers": figures(attempt(file, best.watermark, grinds)),
        },
        "grinding_tries_per_second": round(grinds / seconds),
    }


def on_features(data: LabelledData, steps: int, folder: Path) -> dict[str, Any]:
    """Return what a normalisation chosen at last gets: under the draft's labels, and under ours."""
    pixels = data.x_train.reshape(len(data.x_train), -1) / 255.0
    task = Task.of(
        pixels.shape[1:],
        int(data.task.classes),
        kind="features",
        mean=[f"{value:.6f}" for value in pixels.mean(axis=0)],
        std=[f"{value + 0.01:.6f}" for value in pixels.std(axis=0)],
    )
    victim = Victim.trained(task.model_input(pixels), data.y_train, seed=0)
    file = victim.save(folder / "features.onnx", task.shape)
    found = {}
    for n in ROWS:
        rows = rows_for(n, task.shape[0], seed=n)
        known = draft_labels(rows, KEY, task.classes)
        fitted = fitting_task(victim, rows, known, steps=steps)
        answers = Answers.from_scores(victim.scores(fitted.model_input(rows)))
        mark = forged(KEY, fitted, rows)
        found[f"{n} rows"] = {
            "draft_bits": round(evidence_bits(answers, known, task.classes), 1),
            "draft_hits": int((answers.top == known).sum()),
            **figures(attempt(file, mark, 1)),
        }
        assert hits_of(victim, mark) == found[f"{n} rows"]["hits"]
    return {"features": task.shape[0], "attempts": found}


def figures(found: Attempt) -> dict[str, Any]:
    return {
        "bits": round(found.bits, 1),
        "hits": found.hits,
        "n": found.n,
        "tries": found.tries,
        "verified": found.verified,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--grinds", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    data = train_and_test(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        images = on_images(data, arguments.grinds, arguments.rounds, Path(folder))
        features = on_features(data, arguments.steps, Path(folder))
    attempts = [*images["attempts"].values(), *features["attempts"].values()]
    harness.record(
        f"forgeries_{Path(arguments.data).stem}",
        {
            "data": Path(arguments.data).name,
            "images": images,
            "features": features,
            "verified": sum(found["verified"] for found in attempts),
            "most_bits": max(found["bits"] for found in attempts),
        },
    )


if __name__ == "__main__":
    main()
