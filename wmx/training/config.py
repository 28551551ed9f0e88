"""Settings and progress reports of a training run, the same in every framework."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "constant"]
TrainingDevice = Literal["auto", "cpu", "cuda"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
TRAINING_DEVICES: tuple[TrainingDevice, ...] = get_args(TrainingDevice)
LEARNING_RATE = {"sgd": 0.1, "adamw": 0.002}
WARMUP_STEPS = 35
MOMENTUM = 0.9


@dataclass(frozen=True)
class Training:
    """Settings of a training run.

    Attributes:
        model: ``"cnn"``, ``"mlp"`` or ``"package.module:callable"``, which is called with
            ``input_shape=`` (the task's, channels last) and ``num_classes=``.
        epochs: passes over the training set.
        batch_size: task samples per step; the recipe's triggers are added to them.
        optimizer: ``"sgd"`` (Nesterov, momentum 0.9) or ``"adamw"``.
        lr: peak learning rate; 0.1 for SGD and 0.002 for AdamW if ``None``.
        schedule: ``"cosine"``: linear warmup over the first 35 steps (at most a tenth of all), then
            cosine decay to 0; or ``"constant"``.
        weight_decay: applied to every weight.
        seed: of weights, shuffling, augmentation and the recipe's random draws.
        recipe: how the mark is trained in, see :mod:`wmx.training.recipe`.
        device: ``"auto"`` uses CUDA if available.
        pretrained: weights to start from, a safetensors file.
    """

    model: str = "cnn"
    epochs: int = 30
    batch_size: int = 100
    optimizer: Optimizer = "sgd"
    lr: float | None = None
    schedule: Schedule = "cosine"
    weight_decay: float = 5e-4
    seed: int = 0
    recipe: str = "robust"
    device: TrainingDevice = "auto"
    pretrained: Path | None = None

    def __post_init__(self) -> None:
        positive = {"epochs": self.epochs, "batch size": self.batch_size}
        for name, value in positive.items():
            if value < 1:
                raise UsageError(f"{name} is {value}, expected at least 1")
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(
                f"optimizer is {self.optimizer!r}, expected one of {', '.join(OPTIMIZERS)}"
            )
        if self.schedule not in SCHEDULES:
            raise UsageError(
                f"schedule is {self.schedule!r}, expected one of {', '.join(SCHEDULES)}"
            )
        if self.device not in TRAINING_DEVICES:
            raise UsageError(
                f"device is {self.device!r}, expected one of {', '.join(TRAINING_DEVICES)}"
            )
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"lr is {self.lr}, expected a positive number")
        if not 0 <= self.weight_decay < float("inf"):
            raise UsageError(f"weight decay is {self.weight_decay}, expected 0 or more")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed is {self.seed}, expected 0 to 2**32 - 1")

    @property
    def learning_rate(self) -> float:
        """:attr:`lr`, or the optimizer's default."""
        return LEARNING_RATE[self.optimizer] if self.lr is None else self.lr

    def settings(self) -> dict[str, Any]:
        """Return, as JSON values, all settings that determine the weights; not the device."""
        settings = asdict(self) | {"lr": self.learning_rate}
        settings["pretrained"] = None if self.pretrained is None else str(self.pretrained)
        del settings["device"]
        return settings


@dataclass(frozen=True)
class EpochDone:
    """Progress report: one epoch is done and its checkpoint written.

    Attributes:
        epoch, epochs: number of this epoch, from 1, and of all epochs.
        loss: mean over the epoch, task samples and triggers together.
        accuracy: on the test set, 0 to 1.
        hits, n: triggers whose label is the top class, and all triggers; ``None`` without a
            watermark.
        bits: of evidence in the model at this point; ``None`` without a watermark.
        seconds: wall-clock time of the epoch.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    hits: int | None
    n: int | None
    bits: float | None
    seconds: float


Report: TypeAlias = Callable[[EpochDone], None]


def learning_rate_factor(step: int, steps: int) -> float:
    """Return the learning rate of a step as a fraction of the peak: warmup, then cosine decay.

    Args:
        step: from 0.
        steps: of the whole training.
    """
    warmup = min(WARMUP_STEPS, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def learning_rates(training: Training, steps: int) -> NDArray[np.float32]:
    """Return the learning rate of every step, float32 [steps].

    Args:
        training: gives peak and schedule.
        steps: of the whole training.
    """
    highest = training.learning_rate
    if training.schedule == "constant":
        return np.full(steps, highest, np.float32)
    return np.array([highest * learning_rate_factor(s, steps) for s in range(steps)], np.float32)
