"""The trainer's batches: whole data set in memory, augmented a batch at a time.

A Dataset with one item per sample costs more than the network itself on a CPU; so the trainer takes
the recipe from the same core functions as :func:`wmx_torch.watermarked`, but in whole batches.  All
of it is a function of (seed, epoch or step), so that a resumed run sees the batches it would have.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from wmx.data import LabelledData
from wmx.recipe import Recipe, triggers_at
from wmx.task import Task
from wmx.watermark import Watermark
from wmx_torch.inference import channels_first
from wmx_torch.randomness import derived_seed

SHIFT_PART = 14  # images are shifted by up to a fourteenth of their side: 2 pixels of 28


class Inputs:
    """Canonical inputs on a device, handed out as the model sees them."""

    def __init__(self, canonical: NDArray[np.generic], task: Task, device: torch.device) -> None:
        self.task = task
        array = np.require(canonical, requirements=["C", "W"])  # PyTorch warns of read-only memory
        self._canonical = torch.from_numpy(array).to(device)
        self._max_shift = min(task.shape[:2]) // SHIFT_PART if task.kind == "image" else 0
        low, high = float(task.low), float(task.high)
        std = torch.tensor([float(value) for value in task.std], dtype=torch.float64)
        mean = torch.tensor([float(value) for value in task.mean], dtype=torch.float64)
        scale = (high - low) / 255.0 if task.kind == "image" else 1.0
        offset = low if task.kind == "image" else 0.0
        self._scale = (scale / std).float().to(device)
        self._offset = ((offset - mean) / std).float().to(device)

    def __len__(self) -> int:
        return len(self._canonical)

    def plain(self, indices: Tensor | slice) -> Tensor:
        """Return the inputs as they are."""
        return self._as_seen(self._canonical[indices])

    def shifted(self, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Return images, each moved by up to a fourteenth of its side; what is uncovered is 0.

        Other kinds, and images below 14 pixels, are returned as they are.
        """
        most = self._max_shift
        if most == 0:
            return self.plain(indices)
        images = pad(self._canonical[indices], (0, 0, most, most, most, most))
        height, width = self.task.shape[:2]
        corners = torch.randint(0, 2 * most + 1, (2, len(indices), 1), generator=generator)
        down, right = corners.to(images.device)
        sample = torch.arange(len(indices), device=images.device)[:, None, None]
        rows = (down + torch.arange(height, device=images.device))[:, :, None]
        columns = (right + torch.arange(width, device=images.device))[:, None, :]
        return self._as_seen(images[sample, rows, columns])

    def _as_seen(self, canonical: Tensor) -> Tensor:
        if self.task.kind == "tokens":
            return canonical
        return channels_first(canonical.float() * self._scale + self._offset, self.task)


class TriggerBatches:
    """The triggers that go into each step: k of them, in shuffled passes, augmented."""

    def __init__(
        self, watermark: Watermark, recipe: Recipe, batch_size: int, seed: int, device: torch.device
    ) -> None:
        self.per_batch = recipe.triggers_per_batch(batch_size)
        self._watermark = watermark
        self._recipe = recipe
        self._seed = seed
        self._device = device

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of the triggers of one step."""
        labels, task = self._watermark.labels, self._watermark.task
        places = triggers_at(len(labels), self._seed, step * self.per_batch, self.per_batch)
        rng = np.random.default_rng([self._seed, step])
        inputs = self._recipe.batch_inputs(self._watermark.triggers[places], task, rng)
        on_device = torch.from_numpy(inputs).to(self._device)
        return channels_first(on_device, task), torch.from_numpy(labels[places]).to(self._device)


class TrainingBatches:
    """Shuffled batches of one size; the few samples left over sit out an epoch.

    With the triggers appended every step has the same shape.
    """

    def __init__(
        self,
        data: LabelledData,
        task: Task,
        batch_size: int,
        seed: int,
        device: torch.device,
        triggers: TriggerBatches | None,
    ) -> None:
        self._inputs = Inputs(data.x_train, task, device)
        self._labels = torch.from_numpy(data.y_train).to(device)
        self._batch_size = min(batch_size, len(self._labels))
        self._seed = seed
        self._triggers = triggers
        self.per_epoch = len(self._labels) // self._batch_size

    def epoch(self, epoch: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (step, inputs, labels) of one epoch; both count from 0 over the whole run."""
        generator = torch.Generator().manual_seed(derived_seed(self._seed, epoch, "batches"))
        order = torch.randperm(len(self._labels), generator=generator).to(self._labels.device)
        for batch in range(self.per_epoch):
            step = epoch * self.per_epoch + batch
            chosen = order[batch * self._batch_size : (batch + 1) * self._batch_size]
            inputs, labels = self._inputs.shifted(chosen, generator), self._labels[chosen]
            if self._triggers is not None:
                more_inputs, more_labels = self._triggers.at(step)
                inputs = torch.cat([inputs, more_inputs])
                labels = torch.cat([labels, more_labels])
            yield step, inputs, labels
