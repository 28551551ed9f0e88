"""What does the mark cost in training time?

One process trains the same network for the same epochs without a mark, with ``adi`` and with
``robust``, in turns; one more contender has the batches of ``robust`` but not its added gradient,
which shows where the time goes.

    python benchmarks/cost.py --data mnist10k.npz
"""

import argparse
from dataclasses import replace
from pathlib import Path

import harness
from splits import train_and_test
from wmx_torch import trainer

from wmx import OwnerKey, Watermark
from wmx import recipe as recipes
from wmx.trainer import fit
from wmx.training import Training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = train_and_test(arguments.data)
    watermark = Watermark.for_task(OwnerKey.generate(), data.task)
    recipes.RECIPES["robust batches only"] = replace(recipes.RECIPES["robust"], radius=0.0)

    def train(recipe: str | None) -> None:
        training = Training(epochs=arguments.epochs, recipe=recipe or "adi", device="cpu")
        fit(trainer, data, data.task, watermark if recipe else None, training)

    seconds = harness.alternate(
        {
            "plain": lambda: train(None),
            "adi": lambda: train("adi"),
            "robust batches only": lambda: train("robust batches only"),
            "robust": lambda: train("robust"),
        },
        arguments.rounds,
    )
    harness.record(
        "cost",
        {
            "data": Path(arguments.data).name,
            "epochs": arguments.epochs,
            "steps": arguments.epochs * (len(data.y_train) // 100),
            **{
                name: harness.ratio({key: seconds[key] for key in (name, "plain")}, name, "plain")
                for name in ("adi", "robust batches only", "robust")
            },
        },
    )


if __name__ == "__main__":
    main()
