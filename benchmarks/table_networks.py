"""What does the mark cost networks over tables?  Two real tables, in three frameworks.

As in ``kinds_of_data.py`` one half of the rows trains, with and without a mark by the same
settings, and the other half measures accuracy.  The network is ``wmx embed --model mlp``.

    python benchmarks/table_networks.py --seeds 4
"""

import argparse
import statistics
from dataclasses import replace

import harness
from kinds_of_data import measured, table
from sklearn.datasets import load_breast_cancer, load_digits

from wmx.training.config import Training

TABLES = {  # what is loaded, epochs (of 284 rows an epoch is two steps), and in what
    "digits as a table": (load_digits, 60, ("torch", "keras", "jax")),
    "breast cancer": (load_breast_cancer, 400, ("torch",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    found = {}
    for name, (load, epochs, frameworks) in TABLES.items():
        data = table(load, name)
        plain = Training(model="mlp", optimizer="adamw", epochs=epochs, device="cpu")
        for framework in frameworks:
            runs = []
            for seed in range(arguments.seeds):
                runs.append(measured(data, framework, replace(plain, seed=seed)))
                print(name, framework, runs[-1], flush=True)
            differences = [run["accuracy_marked"] - run["accuracy_unmarked"] for run in runs]
            found[f"{name}, {framework}"] = {
                "train": len(data.y_train),
                "test": len(data.y_test),
                "classes": data.classes,
                "features": data.x_train.shape[1],
                "training": plain.settings(),
                "mean_difference_points": round(statistics.mean(differences), 2),
                "least_bits": min(run["bits"] for run in runs),
                "runs": runs,
            }
    harness.record("table_networks", {"tables": found})


if __name__ == "__main__":
    main()
