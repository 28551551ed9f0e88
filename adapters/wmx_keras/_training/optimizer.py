"""Building the optimizer of a training run."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from wmx.training.config import MOMENTUM, Training, learning_rates


class Rates(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate schedule given as a table."""

    def __init__(self, rates: NDArray[np.float32]) -> None:
        self._rates = rates

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of ``step``."""
        return ops.take(ops.convert_to_tensor(self._rates), ops.cast(step, "int32"))


def make_optimizer(training: Training, steps: int) -> Any:
    """Return the optimizer of a training run.

    Keras' SGD applies weight decay outside the momentum.  PyTorch's applies it inside, where it is
    in the long run ``1 / (1 - momentum)`` times as strong; so it is multiplied by that here.

    Args:
        training: names the optimizer and its settings.
        steps: of the whole training.
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
