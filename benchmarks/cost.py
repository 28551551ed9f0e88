"""What does the mark cost in training time, in each framework?

For each stack one process trains the same network without a mark, with ``adi`` and with ``robust``,
an epoch each in turns; a first round, in which steps are traced and compiled, is thrown away.  One
more contender has the batches of ``robust`` but not its added gradient, which shows where the time
goes.  What is compared is the CPU time of the process, or with ``--wall`` the time on the wall,
which needs a machine without other work, and is what counts on a GPU.  Threads that wait for each
other burn CPU time, so give the process one core.

A batch of 102 rows may cost more than 102 hundredths of one of 100, where a compiler's kernels
like some sizes better than others.  So an unmarked network whose batches have as many rows as
those of ``adi`` runs beside them; ``XLA_FLAGS``, if set, is kept with the result.

    taskset -c 0 python benchmarks/cost.py --data mnist10k.npz
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np
from splits import train_and_test
from stacks import add_device_option, add_stack_option, framework_of, on_device, run_all

from wmx import OwnerKey, Watermark
from wmx.training import recipe as recipes
from wmx.training.batches import TrainingBatches
from wmx.training.config import Training, TrainingDevice
from wmx.training.data.dataset import LabeledData
from wmx.training.plugins import load_adapter

BATCH = 100
MARKED = ("adi", "robust batches only", "robust", "brief")
AS_MANY_ROWS = "unmarked, as many rows as adi"


def epochs_of(
    adapter: Any,
    data: LabeledData,
    watermark: Watermark | None,
    recipe: str,
    epochs: int,
    device: TrainingDevice,
    batch_size: int = BATCH,
) -> Callable[[], float]:
    """Return a function that trains for one more epoch of ``epochs``."""
    training = Training(epochs=epochs, recipe=recipe, batch_size=batch_size, device=device)
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


def with_rows(data: LabeledData, count: int) -> LabeledData:
    """Return the data with so many training samples: cut, or the first ones again."""
    places = np.arange(count) % len(data.y_train)
    return LabeledData.of(
        data.x_train[places], data.y_train[places], data.x_test, data.y_test, data.name
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--wall", action="store_true")
    add_stack_option(parser)
    add_device_option(parser)
    arguments = parser.parse_args()
    if arguments.stack is None:
        run_all()
        return
    harness.keep_freed_memory()
    device: TrainingDevice = arguments.device
    adapter = load_adapter(framework_of(arguments.stack))
    data = train_and_test(arguments.data)
    watermark = Watermark.for_task(OwnerKey.generate(), data.task)
    recipes.RECIPES["robust batches only"] = replace(recipes.RECIPES["robust"], radius=0.0)
    epochs = arguments.rounds + 1  # the first is thrown away
    contenders = {"plain": epochs_of(adapter, data, None, "adi", epochs, device)}
    steps = len(data.y_train) // BATCH
    rows = BATCH + recipes.RECIPES["adi"].triggers_per_batch(BATCH)
    more = with_rows(data, steps * rows)
    contenders[AS_MANY_ROWS] = epochs_of(adapter, more, None, "adi", epochs, device, rows)
    for recipe in MARKED:
        contenders[recipe] = epochs_of(adapter, data, watermark, recipe, epochs, device)
    clock = time.perf_counter if arguments.wall else time.process_time
    seconds = harness.alternate(contenders, arguments.rounds, clock)
    flags = os.environ.get("XLA_FLAGS")
    harness.record(
        on_device(f"cost_{arguments.stack}" + ("_flags" if flags else ""), device),
        {
            "data": Path(arguments.data).name,
            "stack": arguments.stack,
            "clock": clock.__name__,
            "steps_per_round": steps,
            "XLA_FLAGS": flags,
            **{
                name: harness.ratio({key: seconds[key] for key in (name, "plain")}, name, "plain")
                for name in (AS_MANY_ROWS, *MARKED)
            },
            "adi to as many rows": harness.ratio(
                {key: seconds[key] for key in ("adi", AS_MANY_ROWS)}, "adi", AS_MANY_ROWS
            ),
        },
    )


if __name__ == "__main__":
    main()
