"""Base class and helpers for training attacks: load the target's network, train, export."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Attack, Framework, Need, Outcome, Progress, Target
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.suspect.onnx_file import OnnxFile
from wmx.training.adapter import Frozen, Learner
from wmx.training.batches import MoreRows, ShuffledBatches
from wmx.training.config import Optimizer, Schedule, Training
from wmx.training.data.dataset import LabeledData
from wmx.training.loop import train_epoch

Samples = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class TrainingAttack(Attack):
    """An attack that trains, with the settings common to all; defaults are for fine-tuning.

    Attributes:
        epochs: passes over the attacker's samples.
        lr: peak learning rate.
        batch_size: samples per step.
        optimizer, schedule, weight_decay: as in :class:`wmx.training.config.Training`.
    """

    epochs: int = 20
    lr: float = 0.05
    batch_size: int = 64
    optimizer: Optimizer = "sgd"
    schedule: Schedule = "constant"
    weight_decay: float = 5e-4

    needs: ClassVar[Need] = "weights"


@dataclass(frozen=True)
class AttackRun:
    """One execution of a training attack.

    Attributes:
        attack: with its settings.
        target: the model to attack.
        folder: for files.
        progress: called with (epochs done, epochs in all).
    """

    attack: TrainingAttack
    target: Target
    folder: Path
    progress: Progress

    @property
    def framework(self) -> Framework:
        """The framework to train in."""
        assert self.target.framework is not None
        return self.target.framework

    @property
    def target_weights(self) -> Path:
        """The weights that were shipped."""
        assert self.framework.weights is not None
        return self.framework.weights

    @property
    def seed(self) -> int:
        """Of the training; derived, so that it differs from the owner's training seed."""
        return int(self.target.stream("training").integers(2**32))

    def training(self, weights: Path | None, **changes: Any) -> Training:
        """Return the settings of a training run.

        Args:
            weights: to start from; ``None`` for a random initialization.
            changes: settings other than the attack's.
        """
        attack = self.attack
        settings: dict[str, Any] = {
            "model": self.framework.model,
            "epochs": attack.epochs,
            "batch_size": attack.batch_size,
            "optimizer": attack.optimizer,
            "lr": attack.lr,
            "schedule": attack.schedule,
            "weight_decay": attack.weight_decay,
            "seed": self.seed,
            "device": self.framework.device,
            "pretrained": weights,
        }
        return Training(**(settings | changes))

    def begin(
        self, training: Training, task: Task, steps: int, frozen: Frozen | None = None
    ) -> Learner:
        """Return the network before its first training step.

        Args:
            training: the settings.
            task: shape and classes.
            steps: of the whole training.
            frozen: masks of the weights that stay unchanged, by name.
        """
        framework = self.framework
        return framework.adapter.begin(
            task, None, training, steps=steps, vocabulary=framework.vocabulary, frozen=frozen
        )

    def trained(
        self,
        training: Training,
        samples: Samples | None = None,
        *,
        task: Task | None = None,
        frozen: Frozen | None = None,
        more: MoreRows | None = None,
        renewed: Callable[[Learner], Samples] | None = None,
    ) -> Any:
        """Train a network and return it.

        Args:
            training: the settings.
            samples: inputs and labels (class numbers or probabilities); the attacker's own if
                ``None``.
            task: if different from the target's.
            frozen: masks of the weights that stay unchanged, by name.
            more: appends rows to every batch.
            renewed: computes the samples of each epoch from the current network.

        Raises:
            CannotRunError: there are no samples, or training diverged.
        """
        task = task or self.target.task
        x, y = samples or (self.target.data.x_train, self.target.data.y_train)
        if not len(y):
            raise CannotRunError("the attacker has no samples to train on")
        batches = ShuffledBatches(x, y, task, training, more)
        steps = batches.per_epoch * training.epochs
        learner = self.begin(training, task, steps, frozen)
        for epoch in range(training.epochs):
            if renewed is not None:
                batches = ShuffledBatches(*renewed(learner), task, training, more)
            train_epoch(learner, batches, epoch, training)
            self.progress(epoch + 1, training.epochs)
        return learner.model

    def save(self, model: Any, name: str) -> Path:
        """Write a network's weights and return the path.

        Args:
            model: in its framework's own type.
            name: of the file, without its suffix.
        """
        path = self.folder / f"{name}.safetensors"
        self.framework.adapter.save_weights(path, model)
        return path

    def outcome(
        self,
        model: Any,
        variant: str = "",
        *,
        task: Task | None = None,
        test: LabeledData | None = None,
        **notes: float,
    ) -> Outcome:
        """Export a network and return it as an outcome.

        Args:
            model: in its framework's own type.
            variant: of the outcome.
            task: if different from the target's.
            test: data whose test split measures accuracy; the target's if ``None``.
            notes: other figures to report, by name.
        """
        task, test = task or self.target.task, test or self.target.data
        path = self.folder / f"{variant.replace(' ', '-') or 'model'}.onnx"
        self.framework.adapter.export(model, path, task)
        return Outcome(OnnxFile.open_own(path, "cpu"), test.x_test, test.y_test, variant, notes)


def teacher_scores(target: Target, x: NDArray[Any]) -> NDArray[np.float64]:
    """Query the target model and return its scores, as an API would.

    Args:
        target: the model.
        x: canonical inputs [n, *shape].

    Returns:
        float64 [n, K].
    """
    suspect = target.opened()
    feeding = suspect.feedings(target.task)[0]
    predictions = suspect.predictions(feeding, x, target.task)
    return next(iter(predictions.values())).scores
