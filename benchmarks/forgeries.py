"""How far does a forger get who has a model that was never marked?

The victim is a network that scikit-learn trains on real digits; the forger sees all of it.  He
makes claims over natural images, over adversarial examples, over triggers that were chosen one by
one, over the same triggers a million times, over pictures to which he foresees the answers of
models that do not exist yet, and over rows whose normalisation he chooses at last.
The best he gets is given to the verifier with the threshold of a dated claim.  Beside the last of
these stands what the draft scheme wmx-1, whose labels did not cover the task, would have given him.
A try of grinding would cost some milliseconds of scrypt; here its label key is drawn without, which
changes the price and not the odds.  What it costs is measured by price_of_a_try.c.

Then he makes files and servers of every kind from claims alone, which he had no part in.

    python benchmarks/forgeries.py
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from splits import train_and_test

from wmx import OwnerKey, Watermark, verify
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.statistics.experts import evidence_bits
from wmx.statistics.predictions import Predictions
from wmx.suspect.endpoint.endpoint import Endpoint
from wmx.suspect.request_policy import RequestPolicy
from wmx.suspect.suspect import Suspect
from wmx.training.data.dataset import LabeledData

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.forging.claims import Attempt, attempt, forged
from support.forging.files import RESTLESS, forged_file
from support.forging.foreseeing import typical
from support.forging.forms import FORMS
from support.forging.grinding import cheap_label_keys, ground
from support.forging.guesses import guesses
from support.forging.images import adversarial, chased, hits_of, one_by_one
from support.forging.normalising import draft_labels, fitting_task, rows_for
from support.forging.rows import ROWS
from support.forging.servers import CHOICES, Forger, forging_server
from support.forging.victim import Victim
from support.oip_server import serving

KEY = OwnerKey(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01"))
N = 100
COUNTS = (50, 64, 100)  # rows of which the normalisation is chosen at last
TYPICAL = 7  # pictures that nobody takes for another
UNSEEN = 4  # models that the forger never saw
GUESSES_OF_SERVERS = 3
SMALL = Task.of((8, 8, 1), 10, mean=0.3, std=0.4)


def on_images(data: LabeledData, grinds: int, rounds: int, folder: Path) -> dict[str, Any]:
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
    predictions = victim.predictions(inputs[:N])
    with cheap_label_keys():
        best = ground(KEY, task, natural, predictions, tries=grinds)
        chosen, tries = one_by_one(victim, task, KEY, natural)
    return {
        "victim_accuracy": round(100 * float((victim.predictions(test) == data.y_test).mean()), 2),
        "adversarial_examples_that_fool_it": int(
            (victim.predictions(task.model_input(crafted).reshape(N, -1)) == wanted).sum()
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
    }


def on_models_to_come(data: LabeledData, tries: int, folder: Path) -> dict[str, Any]:
    """Return what a claim over typical pictures gets of models that are trained after it."""
    task = data.task
    images = data.x_train.astype(np.uint8)
    inputs = task.model_input(images).reshape(len(images), -1)
    half = len(images) // 2
    scouts = [Victim.trained(inputs[:half], data.y_train[:half], seed=seed) for seed in range(2)]
    chosen = typical(scouts, task, images, data.y_train, TYPICAL)
    with cheap_label_keys():
        best = ground(KEY, task, images[chosen], data.y_train[chosen], tries=tries, misses=0)
    found = []
    for seed in range(2, 2 + UNSEEN):
        unseen = Victim.trained(inputs[half:], data.y_train[half:], seed=seed)
        file = unseen.save(folder / f"unseen{seed}.onnx", task.shape)
        found.append(figures(attempt(file, best.watermark, tries)))
    return {"pictures": TYPICAL, "labels_foreseen": best.hits, "attempts": found}


def from_claims_alone(claims: int, folder: Path) -> dict[str, Any]:
    """Return what files and servers get that are made from public claims of others."""
    files: dict[str, list[float]] = {}
    servers: dict[str, list[float]] = {}
    for number in range(claims):
        mark = Watermark.for_task(KEY, SMALL, salt=number.to_bytes(32, "big"))
        guessed = list(guesses(mark.claim).values())
        models = {f"{rows}, scores": forged_file(mark.claim, guessed, rows) for rows in ROWS}
        for name, form in FORMS.items():
            models[f"row number, {name}"] = forged_file(mark.claim, guessed, form=form)
        models |= {name: restless(mark.claim) for name, restless in RESTLESS.items()}
        for name, model in models.items():
            path = folder / "forged.onnx"
            path.write_bytes(model)
            files.setdefault(name, []).append(bits_of(path, mark))
        few = guessed[:GUESSES_OF_SERVERS]
        for name, choose in CHOICES.items():
            lie = forging_server(Forger(mark.claim, few), choose)
            with serving(forged_file(mark.claim, few), lie=lie) as server:
                request_policy = RequestPolicy(max_queries=20_000)
                bits = bits_of(Endpoint.open(server.url, request_policy=request_policy), mark)
            servers.setdefault(name, []).append(bits)
    found = [bits for kind in (files, servers) for given in kind.values() for bits in given]
    return {
        "claims": claims,
        "kinds_of_files": len(files),
        "kinds_of_servers": len(servers),
        "verified": sum(bits >= 64 for bits in found),
        "most_bits": round(max(found), 1),
        "most_bits_of_each": {
            name: round(max(given), 1) for name, given in (files | servers).items()
        },
    }


def bits_of(suspect: Path | Suspect, mark: Watermark) -> float:
    """Return the bits, minus infinity where no answer can be read."""
    try:
        return verify(suspect, mark, device="cpu").bits
    except CannotRunError:
        return float("-inf")


def on_features(data: LabeledData, steps: int, folder: Path) -> dict[str, Any]:
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
    for n in COUNTS:
        rows = rows_for(n, task.shape[0], seed=n)
        known = draft_labels(rows, KEY, task.classes)
        fitted = fitting_task(victim, rows, known, steps=steps)
        predictions = Predictions.from_scores(victim.scores(fitted.model_input(rows)))
        mark = forged(KEY, fitted, rows)
        found[f"{n} rows"] = {
            "draft_bits": round(evidence_bits(predictions, known, task.classes), 1),
            "draft_hits": int((predictions.top == known).sum()),
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
    parser.add_argument("--foreseen", type=int, default=5_000_000)
    parser.add_argument("--claims", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    data = train_and_test(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        images = on_images(data, arguments.grinds, arguments.rounds, Path(folder))
        to_come = on_models_to_come(data, arguments.foreseen, Path(folder))
        features = on_features(data, arguments.steps, Path(folder))
        alone = from_claims_alone(arguments.claims, Path(folder))
    attempts = [
        *images["attempts"].values(),
        *to_come["attempts"],
        *features["attempts"].values(),
    ]
    harness.record(
        f"forgeries_{Path(arguments.data).stem}",
        {
            "data": Path(arguments.data).name,
            "images": images,
            "models_to_come": to_come,
            "features": features,
            "from_claims_alone": alone,
            "verified": sum(found["verified"] for found in attempts),
            "most_bits": max(found["bits"] for found in attempts),
        },
    )


if __name__ == "__main__":
    main()
