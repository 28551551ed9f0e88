"""Appending triggers to whole batches, in the structure and dtype of the caller's batches."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.training.batch_structure import (
    ATTENTION_MASK,
    Fields,
    find_fields,
    label_values,
    rebuilt,
    require_labels,
    trigger_values,
)
from wmx.training.recipe import Recipe, recipe_with_triggers, triggers_at
from wmx.training.scale import require_scale
from wmx.watermark import Watermark

Join = Callable[[Any, NDArray[Any]], Any]


def join_arrays(part: Any, rows: NDArray[Any]) -> NDArray[Any]:
    """Concatenate rows and return a NumPy array.

    Args:
        part: the caller's array or tensor.
        rows: to append.
    """
    return np.concatenate([_array(part), rows])


def _array(part: Any) -> NDArray[Any]:
    """Convert to NumPy, copying tensors from other devices first."""
    return np.asarray(part.cpu() if hasattr(part, "cpu") else part)


class MarkedBatches:
    """Appends the recipe's share of triggers to batches, in shuffled passes over the triggers.

    The triggers of a batch are a function of (seed, batch number, batch size) alone.

    Attributes:
        watermark: gives triggers and labels.
        recipe: decides how many, and whether they are augmented.
        seed: of their order and augmentation.
    """

    def __init__(
        self,
        watermark: Watermark,
        recipe: str | Recipe = "robust",
        seed: int = 0,
        fields: Fields | None = None,
        *,
        join: Join = join_arrays,
        batch_size: int | None = None,
    ) -> None:
        """Initialize.

        Args:
            watermark, recipe, seed: see above.
            fields: as in the adapters' ``watermarked``.
            join: appends NumPy rows to the framework's own arrays.
            batch_size: of the caller's full batches; taken from the first one if ``None``.
        """
        self.watermark = watermark
        self.recipe = recipe if isinstance(recipe, Recipe) else recipe_with_triggers(recipe)
        self.seed = seed
        self._fields = fields
        self._join = join
        self._first_size = batch_size
        self._is_checked = False

    def places(self, number: int, batch_size: int) -> NDArray[np.int64]:
        """Return the indices of a batch's triggers, int64 [k].

        Args:
            number: of the batch, from 0 over the whole training.
            batch_size: of the caller's full batches.
        """
        places = self.recipe.places(number, batch_size)
        return triggers_at(len(self.watermark.labels), self.seed, places.start, len(places))

    def rows(
        self,
        number: int,
        batch_size: int,
        *,
        input_like: tuple[tuple[int, ...], np.dtype[Any]],
        label_like: tuple[tuple[int, ...], np.dtype[Any]],
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return inputs and labels of a batch's triggers.

        Args:
            number: of the batch, from 0 over the whole training.
            batch_size: of the caller's full batches.
            input_like, label_like: shape without the batch axis, and dtype, of the caller's own.
        """
        places = self.places(number, batch_size)
        rng = np.random.default_rng([self.seed, number])
        inputs = trigger_values(
            self.watermark, self.recipe, places, rng, shape=input_like[0], dtype=input_like[1]
        )
        labels = label_values(
            self.watermark.labels[places],
            self.watermark.task.classes,
            shape=label_like[0],
            dtype=label_like[1],
        )
        return inputs, labels

    def append(self, batch: Any, number: int) -> Any:
        """Return a copy of ``batch`` with its triggers appended.

        The size of the first batch determines how many triggers every batch gets, a short last one
        included.  Parts other than input and label are filled with copies of their first row, an
        ``attention_mask`` and sample weights (the third part of a tuple) with ones.

        Args:
            batch: a tuple, list or dict of arrays.
            number: of the batch, from 0 over the whole training.

        Raises:
            UsageError: the batch does not fit the claim.
        """
        at_input, at_label = find_fields(batch, self._fields)
        inputs, labels = batch[at_input], batch[at_label]
        for part, name in ((inputs, "input"), (labels, "label")):
            if not hasattr(part, "shape") or not hasattr(part, "dtype") or len(part.shape) < 1:
                raise UsageError(
                    f"the {name} of a batch is {type(part).__name__}, expected an array of rows"
                )
        if self._first_size is None:
            self._first_size = int(inputs.shape[0])
        if not self._is_checked:
            self._is_checked = True  # once: each look copies a batch from its device
            require_scale(numbers_of(inputs), self.watermark)
            require_labels(numbers_of(labels), self.watermark.task.classes)
        more_inputs, more_labels = self.rows(
            number,
            self._first_size,
            input_like=(tuple(inputs.shape[1:]), numpy_dtype(inputs)),
            label_like=(tuple(labels.shape[1:]), numpy_dtype(labels)),
        )
        parts = {
            at_input: self._join(inputs, more_inputs),
            at_label: self._join(labels, more_labels),
        }
        names: list[Any] = list(batch) if isinstance(batch, Mapping) else [*range(len(batch))]
        for name in names:
            if name not in parts and hasattr(batch[name], "shape") and len(batch[name].shape):
                parts[name] = self._join(batch[name], self._filling(batch[name], name, len(labels)))
        return rebuilt(batch, parts)

    def _filling(self, part: Any, name: Any, size: int) -> NDArray[Any]:
        if part.shape[0] != size:
            raise UsageError(f"{name!r} of a batch has {part.shape[0]} rows, its labels {size}")
        k = self.recipe.triggers_per_batch(self._first_size or size)
        row = _array(part[:1])
        if name in (ATTENTION_MASK, 2):
            row = np.ones_like(row)
        return np.repeat(row, k, axis=0)


def numbers_of(part: Any) -> NDArray[Any]:
    """Return an array, a tensor on any device, or numbers as NumPy has them, to be looked at."""
    if hasattr(part, "detach"):
        part = part.detach().cpu()
        if numpy_dtype(part).kind == "f":
            part = part.float()  # NumPy has no bfloat16
    return np.asarray(part)


def numpy_dtype(part: Any) -> np.dtype[Any]:
    """Return the NumPy dtype of an array or tensor; float32 for tensors of floats that NumPy lacks.

    NumPy lacks bfloat16.  A package that adds it (ml_dtypes, which comes with JAX and TensorFlow)
    makes ``np.dtype("bfloat16")`` succeed as soon as anything imports it, but PyTorch reads no such
    array: by name, only NumPy's own dtypes count.
    """
    if isinstance(part.dtype, np.dtype):
        return part.dtype
    name = str(part.dtype).rpartition(".")[2].strip("'<> ")
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = None
    if dtype is not None and dtype.isbuiltin == 1:
        return dtype
    if "float" in name:
        return np.dtype(np.float32)
    raise UsageError(f"a batch holds {part.dtype}, expected numbers")
