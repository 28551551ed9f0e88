"""``watermarked``: adds triggers to arrays or data sets for ``fit``."""

import sys
from typing import Any, TypeVar, cast

import keras
import numpy as np

from wmx.errors import UsageError
from wmx.training.batch_structure import Fields, find_fields, rebuilt
from wmx.training.recipe import recipe_with_triggers
from wmx.training.trigger_batches import Join, MarkedBatches, join_arrays
from wmx.watermark import Watermark
from wmx_keras._devices import require_batch_fits_devices, require_rows_fit_devices

Data = TypeVar("Data")


def watermarked(
    data: Data,
    watermark: Watermark,
    *,
    recipe: str = "robust",
    seed: int = 0,
    fields: Fields | None = None,
) -> Data:
    """Return data of the same type with triggers added; the original is not changed.

    * A ``keras.utils.PyDataset``, a batched ``tf.data.Dataset`` or a PyTorch ``DataLoader``
      appends the same number of triggers to every batch, 4 per 100 rows for ``robust`` and 2 for
      ``adi``, in shuffled passes over the triggers, newly augmented each time.
    * Arrays ``(x, y)`` or ``(x, y, sample_weight)`` get triggers as rows at the end, in the same
      share, each equally often and augmented once: let ``fit`` shuffle them, as it does by default.

    Under a ``keras.distribution``, which has to be set before, rows plus triggers of a batch have
    to be divisible by the number of devices: 100 + 4 for 8.

    Args:
        data: arrays or batches of tuples of an input and a label.
        watermark: the claim and its triggers.
        recipe: ``"robust"``, ``"brief"`` or ``"adi"``.
        seed: of the order of the triggers and of their augmentation.
        fields: indices or names of input and label in a batch; (0, 1) by default.

    Raises:
        UsageError: the data do not fit the claim, or the devices of the distribution.
    """
    chosen = recipe_with_triggers(recipe)

    def make(batch_size: int, join: Join = join_arrays) -> MarkedBatches:
        require_batch_fits_devices(batch_size, chosen)
        return MarkedBatches(watermark, chosen, seed, fields, join=join, batch_size=batch_size)

    if isinstance(data, keras.utils.PyDataset):
        return cast(Data, MarkedPyDataset(data, make, fields))
    if "tensorflow" in sys.modules:
        from wmx_keras._backends import on_tensorflow

        if on_tensorflow.is_dataset(data):
            return cast(Data, on_tensorflow.marked_dataset(data, make, fields))
    if "torch" in sys.modules:
        from wmx_keras._backends import on_torch

        if on_torch.is_loader(data):
            loader = on_torch.marked_loader(data, lambda size: make(size, on_torch.join))
            return cast(Data, loader)
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        # a batch of one row gets one trigger, so n batches get each trigger once
        marked = MarkedBatches(watermark, chosen, seed, fields, batch_size=1)
        return cast(Data, _marked_arrays(_as_arrays(data), marked))
    raise UsageError(
        f"data is {type(data).__name__}, expected arrays (x, y), a keras.utils.PyDataset, a "
        "batched tf.data.Dataset or a PyTorch DataLoader"
    )


class MarkedPyDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """Wraps the caller's data set and appends triggers to every batch."""

    def __init__(self, dataset: Any, make: Any, fields: Fields | None) -> None:
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        first = dataset[0]
        self._dataset = dataset
        self._marked = make(len(first[find_fields(first, fields)[1]]))
        self._epoch = 0
        self._marked.append(first, 0)  # raise errors before training begins

    @property
    def num_batches(self) -> int | None:
        """Number of batches of the caller's data set."""
        batches: int | None = self._dataset.num_batches
        return batches

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        number = self._epoch * (self.num_batches or 0) + index
        return self._marked.append(self._dataset[index], number)

    def on_epoch_begin(self) -> None:
        """Notify the caller's data set."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Notify the caller's data set, and count the epoch."""
        self._dataset.on_epoch_end()
        self._epoch += 1


def _as_arrays(data: Any) -> Any:
    arrays = [_as_array(part) for part in data]
    for part, array in zip(data, arrays, strict=True):
        if not array.ndim:
            raise UsageError(
                f"a part of the data is {type(part).__name__}, expected an array of rows"
            )
    sizes = [len(array) for array in arrays]
    if len(set(sizes)) > 1:
        raise UsageError(f"the arrays have {sizes} rows, expected as many in each")
    return rebuilt(data, dict(enumerate(arrays)))


def _as_array(part: Any) -> Any:
    """Convert a tensor of the backend, on any device, or an array-like to NumPy."""
    return keras.ops.convert_to_numpy(part) if keras.ops.is_tensor(part) else np.asarray(part)


def _marked_arrays(arrays: Any, marked: MarkedBatches) -> Any:
    n, size = len(marked.watermark.labels), len(arrays[0])
    added = n * max(1, round(marked.recipe.share * size / n))
    require_rows_fit_devices(size, added)
    one = rebuilt(arrays, {i: part[:1] for i, part in enumerate(arrays)})
    passes = [marked.append(one, number) for number in range(added)]
    return rebuilt(
        arrays,
        {
            i: np.concatenate([part, *(more[i][1:] for more in passes)])
            for i, part in enumerate(arrays)
        },
    )
