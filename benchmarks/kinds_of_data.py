"""Does the mark work beyond images?  Tables, text, audio and a time series, on real data.

Of each kind, networks or estimators are trained with and without a mark by the same settings on one
half of the data; the other half measures accuracy, and the exported file is verified as anybody's.
The text is fed by the transformer's usual export too, with its three inputs.

    make shipped
    python benchmarks/kinds_of_data.py --seeds 3
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from wmx import OwnerKey, verify
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.embed import embed, train_unmarked

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.kinds import export_as_usual
from support.shipped import halves, power_demand, spoken_vowels, words


def table(load: Any, name: str) -> LabeledData:
    """Return one of scikit-learn's tables as features."""
    x, y = load(return_X_y=True)
    return halves(x.astype(np.float32), y, name)


def settings() -> dict[str, tuple[LabeledData, str, Training]]:
    """Return data, framework and training of every contender."""
    digits = table(load_digits, "digits as a table")
    cancer = table(load_breast_cancer, "breast cancer")
    plain = Training(device="cpu")
    return {
        "table, forest": (cancer, "sklearn", replace(plain, model="forest")),
        "table, boosting": (cancer, "sklearn", replace(plain, model="boosting")),
        "table, ten classes, forest": (digits, "sklearn", replace(plain, model="forest")),
        "text, transformer": (
            words(),
            "torch",
            replace(plain, model="support.kinds:letters", epochs=10, optimizer="adamw"),
        ),
        "audio, convolutions": (
            spoken_vowels(),
            "torch",
            replace(plain, model="support.kinds:vowels", epochs=100),
        ),
        "time series, convolutions": (
            power_demand(),
            "torch",
            replace(plain, model="support.kinds:power", epochs=200),
        ),
    }


def measured(data: LabeledData, framework: str, training: Training) -> dict[str, Any]:
    """Return accuracies in per cent and bits of one seed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unmarked = train_unmarked(data, folder / "p.onnx", framework=framework, training=training)
        run = embed(
            OwnerKey.generate(), data, folder / "run", framework=framework, training=training
        )
        found = {
            "seed": training.seed,
            "accuracy_unmarked": round(100 * unmarked, 2),
            "accuracy_marked": round(100 * run.accuracy, 2),
            "hits": run.verdict.hits,
            "triggers": run.verdict.n,
            "bits": round(run.verdict.bits, 1),
        }
        if data.kind == "tokens":
            export_as_usual(run.files.weights, run.watermark.task, folder / "usual.onnx")
            usual = verify(folder / "usual.onnx", run.watermark, device="cpu")
            found["bits_as_usually_exported"] = round(usual.bits, 1)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    found = {}
    for name, (data, framework, training) in settings().items():
        runs = []
        for seed in range(arguments.seeds):
            runs.append(measured(data, framework, replace(training, seed=seed)))
            print(name, runs[-1], flush=True)
        differences = [run["accuracy_marked"] - run["accuracy_unmarked"] for run in runs]
        found[name] = {
            "data": data.name,
            "train": len(data.y_train),
            "test": len(data.y_test),
            "classes": data.classes,
            "training": training.settings(),
            "mean_difference_points": round(statistics.mean(differences), 2),
            "least_bits": min(run["bits"] for run in runs),
            "runs": runs,
        }
    harness.record("kinds_of_data", {"kinds": found})


if __name__ == "__main__":
    main()
