"""The learning rate of the built-in trainer."""

import math

import numpy as np
from numpy.typing import NDArray

from wmx.training.config import Training

WARMUP_STEPS = 35
MOMENTUM = 0.9


def learning_rate_factor(step: int, steps: int) -> float:
    """Return a step's part of the highest learning rate: linear warm-up, then a cosine to 0."""
    warmup = min(WARMUP_STEPS, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def learning_rates(training: Training, steps: int) -> NDArray[np.float32]:
    """Return the rate of every step, float32 [steps]."""
    highest = training.learning_rate
    if training.schedule == "constant":
        return np.full(steps, highest, np.float32)
    return np.array([highest * learning_rate_factor(s, steps) for s in range(steps)], np.float32)
