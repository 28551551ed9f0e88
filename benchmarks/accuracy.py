"""What does the mark cost in accuracy, and how strong is it right after export?

For each seed the same network is trained twice with the same settings, with the mark and without.
The marked one is exported and verified through the normal path.

    python benchmarks/accuracy.py --data mnist10k.npz
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import harness
from splits import train_and_test

from wmx import OwnerKey
from wmx.embed import embed
from wmx.trainer import evaluate, fit
from wmx.training import Training
from wmx_torch import trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="robust")
    arguments = parser.parse_args()
    data = train_and_test(arguments.data)
    runs = []
    for seed in range(arguments.seeds):
        training = Training(
            epochs=arguments.epochs, seed=seed, recipe=arguments.recipe, device="cpu"
        )
        plain = fit(trainer, data, data.task, None, training)
        unmarked = evaluate(trainer, plain, data.x_test, data.y_test, data.task)
        with tempfile.TemporaryDirectory() as folder:
            marked = embed(OwnerKey.generate(), data, Path(folder) / "run", training=training)
        runs.append(
            {
                "seed": seed,
                "accuracy_marked": round(100 * marked.accuracy, 2),
                "accuracy_unmarked": round(100 * unmarked, 2),
                "hits": marked.verdict.hits,
                "n": marked.verdict.n,
                "bits": round(marked.verdict.bits, 1),
            }
        )
        print(runs[-1], flush=True)
    differences = [run["accuracy_marked"] - run["accuracy_unmarked"] for run in runs]
    harness.record(
        f"accuracy_{arguments.recipe}_{arguments.epochs}",
        {
            "data": Path(arguments.data).name,
            "train": len(data.y_train),
            "test": len(data.y_test),
            "epochs": arguments.epochs,
            "recipe": arguments.recipe,
            "runs": runs,
            "mean_difference_points": round(statistics.mean(differences), 2),
            "least_bits": min(run["bits"] for run in runs),
        },
    )


if __name__ == "__main__":
    main()
