"""Triggers in the form of a data set's own items.

An item may be a tuple, a list, a named tuple or a dict; its input a tensor or an array, channels
first or last, floats or bytes; its label an int, a tensor, an array or a one-hot vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wmx.errors import UsageError
from wmx.recipe import Recipe
from wmx.watermark import Watermark

Field: TypeAlias = int | str
Fields: TypeAlias = tuple[Field, Field]

INPUT_NAMES = ("pixel_values", "input_ids", "image", "images", "img", "input", "inputs", "x")
LABEL_NAMES = ("labels", "label", "target", "targets", "y")
ATTENTION_MASK = "attention_mask"


def find_fields(item: Any, fields: Fields | None) -> Fields:
    """Return where an item keeps its input and its label.

    Raises:
        UsageError: the item is of another form, or its names leave a doubt.
    """
    if isinstance(item, Mapping):
        names = list(item)
        chosen = fields or (_only(names, INPUT_NAMES, "input"), _only(names, LABEL_NAMES, "label"))
        missing = [name for name in chosen if name not in item]
    elif isinstance(item, Sequence) and not isinstance(item, str | bytes):
        chosen = fields or (0, 1)
        missing = [
            name for name in chosen if not isinstance(name, int) or not 0 <= name < len(item)
        ]
    else:
        raise UsageError(
            f"an item of the data is {type(item).__name__}, expected a tuple or a dict with an "
            "input and a label"
        )
    if missing:
        found = list(item) if isinstance(item, Mapping) else f"{len(item)} parts"
        raise UsageError(f"an item has no {missing[0]!r}: it has {found}")
    return chosen


def _only(names: list[Any], known: tuple[str, ...], role: str) -> str:
    found = [name for name in known if name in names]
    if len(found) != 1:
        raise UsageError(
            f"cannot tell which of {names} is the {role}",
            hint='say it with fields=("name of the input", "name of the label")',
        )
    return found[0]


@dataclass(frozen=True)
class TriggerItems:
    """Makes items that look like ``template`` and hold triggers.

    Attributes:
        watermark: gives triggers and labels.
        recipe: says whether they are augmented.
        template: any item of the data; parts other than input and label are copied from it, but
            an ``attention_mask`` is all ones.
        fields: where input and label stand.
    """

    watermark: Watermark
    recipe: Recipe
    template: Any
    fields: Fields

    def __post_init__(self) -> None:
        self.item(0, np.random.default_rng(0))  # refuse what does not fit before training begins

    def item(self, index: int, rng: np.random.Generator) -> Any:
        """Return trigger ``index`` as an item; ``rng`` gives the augmentation."""
        at_input, at_label = self.fields
        new = {
            at_input: self._input(self.template[at_input], index, rng),
            at_label: self._label(self.template[at_label], index),
        }
        if isinstance(self.template, Mapping):
            item = dict(self.template) | new
            if ATTENTION_MASK in item:
                item[ATTENTION_MASK] = item[ATTENTION_MASK] * 0 + 1
            return item
        parts = list(self.template)
        for place, value in new.items():
            parts[int(place)] = value
        if hasattr(self.template, "_fields"):  # a named tuple
            return type(self.template)(*parts)
        return parts if isinstance(self.template, list) else tuple(parts)

    def _input(self, like: Any, index: int, rng: np.random.Generator) -> Any:
        if not isinstance(like, Tensor | np.ndarray):
            raise UsageError(
                f"the input of an item is {type(like).__name__}, expected a tensor or an array",
                hint="give wmx the data set with its transform applied",
            )
        values = self._laid_out(self._values(like, index, rng), tuple(like.shape))
        if isinstance(like, Tensor):
            return torch.from_numpy(values).to(like.dtype)
        return values.astype(like.dtype)

    def _values(self, like: Any, index: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return the trigger, channels last: bytes for bytes, else as the model sees it."""
        trigger = self.watermark.triggers[index : index + 1]
        task = self.watermark.task
        if task.kind == "image" and like.dtype in (torch.uint8, np.dtype(np.uint8)):
            if not self.recipe.augment:
                return np.asarray(trigger[0])
            pixels = self.recipe.augmented(trigger / np.float32(255), rng)[0] * 255
            return np.asarray(pixels.round(), dtype=np.uint8)
        is_float = (
            like.dtype.is_floating_point
            if isinstance(like, Tensor)
            else np.issubdtype(like.dtype, np.floating)
        )
        if is_float != (task.kind != "tokens"):
            raise UsageError(
                f"the input of an item is {like.dtype}, and the claim is over {task.kind!r}",
                hint="images come as bytes or normalised floats, features as floats, tokens as "
                "integers",
            )
        return np.asarray(self.recipe.batch_inputs(trigger, task, rng)[0])

    def _laid_out(self, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Bring channels-last values into the axes of the data's own inputs."""
        if values.ndim == 3:
            height, width, channels = values.shape
            if shape == (channels, height, width):
                return np.ascontiguousarray(values.transpose(2, 0, 1))
            if channels == 1 and shape == (height, width):
                return values[:, :, 0]
        if shape != values.shape:
            raise UsageError(
                f"the input of an item has shape {shape}, and the claim is over {values.shape}"
                + (" (height, width, channels), channels first or last" if values.ndim == 3 else "")
            )
        return values

    def _label(self, like: Any, index: int) -> Any:
        label = int(self.watermark.labels[index])
        classes = self.watermark.task.classes
        if isinstance(like, bool) or not isinstance(like, int | np.generic | np.ndarray | Tensor):
            raise UsageError(f"the label of an item is {like!r}, expected a class number")
        if isinstance(like, int):
            return label
        is_vector = tuple(like.shape) == (classes,)
        if isinstance(like, Tensor):
            if is_vector and like.is_floating_point():
                return torch.nn.functional.one_hot(torch.tensor(label), classes).to(like.dtype)
            if not like.is_floating_point() and like.numel() == 1:
                return torch.full_like(like, label)
        else:
            if is_vector and np.issubdtype(like.dtype, np.floating):
                return np.eye(classes, dtype=like.dtype)[label]
            if np.issubdtype(like.dtype, np.integer) and like.size == 1:
                return np.full(like.shape, label, like.dtype)[()]
        raise UsageError(
            f"the label of an item is {like.dtype} of shape {tuple(like.shape)}, expected a class "
            f"number or a one-hot vector of {classes}"
        )
