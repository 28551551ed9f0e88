"""``watermarked``: adds triggers to batches; the training loop stays the user's."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.training.batch_structure import Fields
from wmx.training.trigger_batches import MarkedBatches, join_arrays
from wmx.watermark import Watermark

Batches = TypeVar("Batches", bound=Iterable[Any])


def watermarked(
    batches: Batches,
    watermark: Watermark,
    *,
    recipe: str = "robust",
    seed: int = 0,
    fields: Fields | None = None,
) -> Batches:
    """Return batches of the same type with the recipe's triggers appended.

    Every batch gets the same number, 4 per 100 rows for ``robust`` and 2 for ``adi``, in shuffled
    passes over the triggers; the size of the first batch determines the number.  So a jitted step
    is traced once if the caller's batches have one shape.  On a mesh, rows plus triggers have to be
    divisible by the number of devices: 100 + 4 for 8.

    Args:
        batches: an iterator, or anything that can be iterated again for every epoch, of tuples or
            dicts of NumPy or JAX arrays, with or without a length.
        watermark: the claim and its triggers.
        recipe: ``"robust"``, ``"brief"`` or ``"adi"``.
        seed: of the order of the triggers and of their augmentation.
        fields: indices or names of input and label in a batch; by default (0, 1) for tuples, and
            the usual names for dicts.

    Raises:
        UsageError: a batch does not fit the claim; raised when it is drawn.
    """
    marked = MarkedBatches(watermark, recipe, seed, fields, join=_join)
    if isinstance(batches, Iterator):
        return cast(Batches, (marked.append(batch, i) for i, batch in enumerate(batches)))
    if not hasattr(batches, "__iter__"):
        raise UsageError(
            f"batches are {type(batches).__name__}, expected an iterator or an iterable of batches"
        )
    return cast(Batches, MarkedIterable(batches, marked))


class MarkedIterable:
    """Wraps the caller's batches and appends triggers; passes continue from epoch to epoch."""

    def __init__(self, batches: Any, marked: MarkedBatches) -> None:
        self._batches = batches
        self._marked = marked
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            self._drawn += 1
            yield self._marked.append(batch, self._drawn - 1)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_batches" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._batches, name)


def _join(part: Any, rows: NDArray[Any]) -> Any:
    if not isinstance(part, jax.Array):
        return join_arrays(part, rows)
    joined = jnp.concatenate([part, jnp.asarray(rows, part.dtype)])
    try:
        return jax.device_put(joined, part.sharding)
    except ValueError as error:
        size = np.shape(joined)[0]
        raise UsageError(
            f"{len(part)} rows and {len(rows)} triggers make {size}, which cannot be sharded over "
            f"the devices like the batch: {str(error).splitlines()[0]}",
            hint="choose a batch size for which rows plus triggers are divisible: 100 + 4 by 8",
        ) from None
