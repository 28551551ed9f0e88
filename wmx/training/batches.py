"""Batches of the built-in training loop: shuffled, augmented, with triggers appended.

Everything is a function of (seed, epoch or step), so that a resumed run sees the batches it would
have seen, and every framework sees the same ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.task import Task
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.recipe import recipe_named
from wmx.training.second_choice import soft_labels
from wmx.training.trigger_batches import MarkedBatches
from wmx.watermark import Watermark

SHIFT_PART = 14  # images are shifted by up to 1/14 of their side: 2 pixels of 28


@dataclass(frozen=True)
class Batch:
    """The data of one training step.

    Attributes:
        step: counted from 0 over the whole run.
        inputs: normalized, channels last, float32 (int32 for tokens).
        labels: int64 class numbers [k], or float32 probabilities [k, classes].
    """

    step: int
    inputs: NDArray[Any]
    labels: NDArray[Any]


class MoreRows(Protocol):
    """Appends rows, such as triggers, to every batch."""

    def append(self, batch: Any, number: int) -> Any:
        """Return a batch with more rows appended, the same number for every batch.

        Args:
            batch: (inputs, labels).
            number: of the batch, from 0 over the whole training.
        """


class ShuffledBatches:
    """Shuffled batches of one size; an incomplete last batch is dropped in each epoch.

    So every step has the same shape, which compiled steps need.

    Attributes:
        per_epoch: batches in an epoch.
    """

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        task: Task,
        training: Training,
        more: MoreRows | None = None,
    ) -> None:
        """Initialize the batches.

        Args:
            x: canonical inputs [n, *task.shape]; pixels 0 to 255 may be floats too.
            y: class numbers [n], or probabilities [n, classes].
            task: gives shape and normalization.
            training: gives batch size and seed.
            more: appends rows to every batch; ``None`` appends none.
        """
        self._x, self._y = x, y
        self._task = task
        self._batch_size = min(training.batch_size, len(self._y))
        self._seed = training.seed
        self._more = more
        self._max_shift = min(task.shape[:2]) // SHIFT_PART if task.kind == "image" else 0
        self.per_epoch = len(self._y) // self._batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch; epochs are counted from 0."""
        rng = np.random.default_rng([self._seed, epoch, *b"batches"])
        order = rng.permutation(len(self._y))
        for number in range(self.per_epoch):
            step = epoch * self.per_epoch + number
            chosen = order[number * self._batch_size : (number + 1) * self._batch_size]
            canonical = shifted(self._x[chosen], self._max_shift, rng)
            batch = self._task.model_input(canonical), self._y[chosen]
            if self._more is not None:
                batch = self._more.append(batch, step)
            yield Batch(step, *batch)


class TrainingBatches(ShuffledBatches):
    """Batches of the training split that carry the mark: with triggers, or with soft labels."""

    def __init__(
        self, data: LabeledData, task: Task, training: Training, watermark: Watermark | None
    ) -> None:
        recipe, triggers = recipe_named(training.recipe), None
        y: NDArray[Any] = data.y_train
        if watermark is not None and recipe.second:
            y = soft_labels(watermark, data.x_train, y, recipe.second)
        elif watermark is not None:
            triggers = MarkedBatches(watermark, recipe, training.seed)
        super().__init__(data.x_train, y, task, training, triggers)


def shifted(images: NDArray[Any], most: int, rng: np.random.Generator) -> NDArray[Any]:
    """Return images, each randomly shifted; uncovered pixels are 0.

    Args:
        images: [n, H, W, C].
        most: largest shift along each axis, in pixels.
        rng: source of the shifts.
    """
    if most == 0:
        return images
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    down, right = rng.integers(0, 2 * most + 1, (2, len(images), 1))
    rows = down + np.arange(images.shape[1])
    columns = right + np.arange(images.shape[2])
    sample = np.arange(len(images))[:, None, None]
    return np.asarray(padded[sample, rows[:, :, None], columns[:, None, :]])
