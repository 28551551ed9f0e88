"""What a training run is told and what it tells, the same in every framework."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from wmx.errors import UsageError

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "constant"]
TrainingDevice = Literal["auto", "cpu", "cuda"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
TRAINING_DEVICES: tuple[TrainingDevice, ...] = get_args(TrainingDevice)
LEARNING_RATE = {"sgd": 0.1, "adamw": 0.002}


@dataclass(frozen=True)
class Training:
    """Settings of a training run.

    Attributes:
        model: ``"cnn"``, ``"mlp"`` or ``"package.module:callable"``, which is called with
            ``input_shape=`` (the task's, channels last) and ``num_classes=``.
        epochs: passes over the training set.
        batch_size: task samples per step; the recipe's triggers come on top.
        optimizer: ``"sgd"`` (Nesterov, momentum 0.9) or ``"adamw"``.
        lr: highest learning rate; 0.1 for SGD and 0.002 for AdamW if ``None``.  It rises linearly
            over the first 35 steps (at most a tenth of all) and falls to 0 along a cosine.
        schedule: ``"cosine"``, as just said, or ``"constant"``.
        weight_decay: of every weight.
        seed: of the weights, shuffling, augmentation and the recipe's draws.
        recipe: how the triggers enter, see :mod:`wmx.training.recipe`.
        device: ``"auto"`` takes CUDA where there is one.
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
        """Return, as JSON values, all that decides which weights come out; not the device."""
        settings = asdict(self) | {"lr": self.learning_rate}
        settings["pretrained"] = None if self.pretrained is None else str(self.pretrained)
        del settings["device"]
        return settings


@dataclass(frozen=True)
class EpochDone:
    """One epoch is over and its checkpoint written.

    Attributes:
        epoch, epochs: which, counted from 1, of how many.
        loss: mean over the epoch, task samples and triggers together.
        accuracy: on the test set, 0 to 1.
        hits, n: triggers whose label is the top class, of how many; ``None`` without a watermark.
        bits: evidence in the model as it is now; ``None`` without a watermark.
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
