"""What does the mark cost in training time, in each framework?

For each stack one process trains the same network without a mark, with ``adi`` and with ``robust``,
an epoch each in turns; a first round, in which steps are traced and compiled, is thrown away.  One
more contender has the batches of ``robust`` but not its added gradient, which shows where the time
goes.  What is compared is the CPU time of the process, or with ``--wall`` the time on the wall,
which needs a machine without other work.  Threads that wait for each other burn CPU time, so give
the process one core.

    taskset -c 0 python benchmarks/cost.py --data mnist10k.npz
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
from splits import train_and_test
from stacks import add_stack_option, framework_of, run_all

from wmx import OwnerKey, Watermark
from wmx import recipe as recipes
from wmx.adapters import load_adapter
from wmx.data import LabelledData
from wmx.training import Training
from wmx.training_batches import TrainingBatches

MARKED = ("adi", "robust batches only", "robust")


def epochs_of(
    adapter: Any, data: LabelledData, watermark: Watermark | None, recipe: str, epochs: int
) -> Callable[[], float]:
    """Return a function that trains for one more epoch of ``epochs``."""
    training = Training(epochs=epochs, recipe=recipe, device="cpu")
    batches = TrainingBatches(data, data.task, training, watermark)
    learner = adapter.begin(
        data.task, watermark, training, steps=epochs * batches.per_epoch, vocabulary=None
    )
    numbers = iter(range(epochs))

    def one_epoch() -> float:
        number = next(numbers)
        loss: float = learner.train(batches.epoch(number), number)
        return loss

    return one_epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--wall", action="store_true")
    add_stack_option(parser)
    arguments = parser.parse_args()
    if arguments.stack is None:
        run_all()
        return
    adapter = load_adapter(framework_of(arguments.stack))
    data = train_and_test(arguments.data)
    watermark = Watermark.for_task(OwnerKey.generate(), data.task)
    recipes.RECIPES["robust batches only"] = replace(recipes.RECIPES["robust"], radius=0.0)
    epochs = arguments.rounds + 1  # the first is thrown away
    contenders = {"plain": epochs_of(adapter, data, None, "adi", epochs)}
    for recipe in MARKED:
        contenders[recipe] = epochs_of(adapter, data, watermark, recipe, epochs)
    clock = time.perf_counter if arguments.wall else time.process_time
    seconds = harness.alternate(contenders, arguments.rounds, clock)
    harness.record(
        f"cost_{arguments.stack}",
        {
            "data": Path(arguments.data).name,
            "stack": arguments.stack,
            "clock": clock.__name__,
            "steps_per_round": len(data.y_train) // 100,
            **{
                name: harness.ratio({key: seconds[key] for key in (name, "plain")}, name, "plain")
                for name in MARKED
            },
        },
    )


if __name__ == "__main__":
    main()
