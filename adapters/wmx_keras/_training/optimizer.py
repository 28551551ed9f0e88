"""The optimizer of a run."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from wmx.training.config import Training
from wmx.training.lr_schedule import MOMENTUM, learning_rates


class Rates(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of every step, from a table."""

    def __init__(self, rates: NDArray[np.float32]) -> None:
        self._rates = rates

    def __call__(self, step: Any) -> Any:
        """Return the rate of ``step``."""
        return ops.take(ops.convert_to_tensor(self._rates), ops.cast(step, "int32"))


def make_optimizer(training: Training, steps: int) -> Any:
    """Return the optimizer that ``training`` asks for.

    Keras takes weight decay outside the momentum.  A decay inside it, as PyTorch's SGD has it, is
    in the long run ``1 / (1 - momentum)`` times as strong, so that much is given here.
    """
    rates = Rates(learning_rates(training, steps))
    if training.optimizer == "adamw":
        return keras.optimizers.AdamW(rates, weight_decay=training.weight_decay, epsilon=1e-8)
    return keras.optimizers.SGD(
        rates,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=training.weight_decay / (1 - MOMENTUM) or None,
    )
