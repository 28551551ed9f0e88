"""Converting triggers to items like those of a data set: tensors to tensors, lists to lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wmx.errors import UsageError
from wmx.training.batch_structure import (
    ATTENTION_MASK,
    Fields,
    label_values,
    rebuilt,
    require_labels,
    trigger_values,
)
from wmx.training.recipe import Recipe
from wmx.training.scale import require_scale
from wmx.training.trigger_batches import numbers_of, numpy_dtype
from wmx.watermark import Watermark


@dataclass(frozen=True)
class TriggerItems:
    """Makes items of a data set that hold triggers.

    Attributes:
        watermark: gives triggers and labels.
        recipe: decides whether they are augmented.
        template: any item of the data; parts other than input and label are copied from it, except
            that an ``attention_mask`` is all ones.
        fields: indices or names of input and label.
    """

    watermark: Watermark
    recipe: Recipe
    template: Any
    fields: Fields

    def __post_init__(self) -> None:
        self.item(0, np.random.default_rng(0))  # raise errors before training begins
        at_input, at_label = self.fields
        require_scale(numbers_of(self.template[at_input]), self.watermark)
        require_labels(numbers_of(self.template[at_label]), self.watermark.task.classes)

    def item(self, index: int, rng: np.random.Generator) -> Any:
        """Return a trigger as an item.

        Args:
            index: of the trigger.
            rng: source of the augmentation.
        """
        at_input, at_label = self.fields
        new: dict[Any, Any] = {
            at_input: self._input(self.template[at_input], index, rng),
            at_label: self._label(self.template[at_label], index),
        }
        if isinstance(self.template, Mapping) and ATTENTION_MASK in self.template:
            mask = self.template[ATTENTION_MASK]
            new[ATTENTION_MASK] = _as(mask, np.ones_like(np.asarray(mask)))
        return rebuilt(self.template, new)

    def _input(self, like: Any, index: int, rng: np.random.Generator) -> Any:
        if not isinstance(like, Tensor | np.ndarray | list):
            raise UsageError(
                f"the input of an item is {type(like).__name__}, expected a tensor, an array or a "
                "list of numbers",
                hint="apply the data set's transform first",
            )
        example = np.asarray(like) if isinstance(like, list) else like
        values = trigger_values(
            self.watermark,
            self.recipe,
            np.array([index]),
            rng,
            shape=tuple(example.shape),
            dtype=numpy_dtype(example),
        )[0]
        return _as(like, values)

    def _label(self, like: Any, index: int) -> Any:
        if isinstance(like, bool) or not isinstance(like, int | np.generic | np.ndarray | Tensor):
            raise UsageError(f"the label of an item is {like!r}, expected a class number")
        label = self.watermark.labels[index : index + 1]
        if isinstance(like, int):
            return int(label[0])
        value = label_values(
            label, self.watermark.task.classes, shape=tuple(like.shape), dtype=numpy_dtype(like)
        )[0]
        return _as(like, value)


def _as(like: Any, values: NDArray[Any]) -> Any:
    """Convert values to the type of ``like``: a tensor of its dtype and device, array, or list."""
    if isinstance(like, Tensor):
        return torch.as_tensor(values).to(like.device, like.dtype)
    return values.tolist() if isinstance(like, list) else values
