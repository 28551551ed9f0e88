"""Validating arrays from any source and converting them to the protocol's canonical form."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.protocol.task import Kind


def canonical_inputs(x: NDArray[Any], what: str) -> tuple[NDArray[Any], Kind]:
    """Return inputs in canonical form and their kind, told by dtype and shape.

    Args:
        x: any array.
        what: its name, for errors.

    Returns:
        uint8 [N, H, W, C] images, float32 [N, F] features or int32 [N, L] tokens.

    Raises:
        UsageError: they are of none of these kinds, empty, or hold values out of range.
    """
    if x.ndim == 0 or x.size == 0:
        raise UsageError(f"{what} is empty: shape {x.shape}")
    integer = np.issubdtype(x.dtype, np.integer)
    if integer and x.ndim in (3, 4):
        if x.dtype != np.uint8 and (x.min() < 0 or x.max() > 255):
            raise UsageError(f"{what} holds {x.min()} to {x.max()}, expected pixels 0 to 255")
        return _channels_last(x.astype(np.uint8, copy=False), what), "image"
    if np.issubdtype(x.dtype, np.floating) and x.ndim == 2:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
            features = x.astype(np.float32)
        if not np.isfinite(features).all():
            raise UsageError(
                f"{what} holds NaN or infinite values", hint="fill them in or leave those rows out"
            )
        return features, "features"
    if integer and x.ndim == 2 and x.dtype.itemsize > 1:
        if x.min() < 0 or x.max() >= 2**31 - 1:
            raise UsageError(f"{what} holds {x.min()} to {x.max()}, expected ids 0 to 2**31 - 2")
        return x.astype(np.int32), "tokens"
    raise UsageError(
        f"{what} is {x.dtype} {x.shape}, expected uint8 images [N, H, W] or [N, H, W, C], "
        "float features [N, F] or integer token ids [N, L]",
        hint="scale images to integers 0 to 255; make integer features floats",
    )


def canonical_labels(y: NDArray[Any], count: int, what: str) -> NDArray[np.int64]:
    """Return labels as int64 [count].

    Args:
        y: integers [count] or [count, 1].
        count: number of inputs.
        what: name of the labels, for errors.

    Raises:
        UsageError: not integers, negative, or not ``count`` of them.
    """
    if y.shape in ((count, 1), (1, count)) and count > 1:
        y = y.reshape(count)
    if y.shape != (count,):
        one_hot = y.ndim == 2 and len(y) == count
        raise UsageError(
            f"{what} has shape {y.shape}, expected [{count}], one label per input",
            hint="y.argmax(axis=1) makes class numbers of one-hot rows" if one_hot else None,
        )
    if y.dtype.kind in "UST":
        raise UsageError(
            f"{what} holds names of classes, expected integer classes 0, 1, 2, ...",
            hint="names, y = np.unique(y, return_inverse=True) numbers them; save the y of "
            "training and test data from one such call",
        )
    if not np.issubdtype(y.dtype, np.integer):
        raise UsageError(
            f"{what} is {y.dtype}, expected integer classes 0, 1, 2, ...",
            hint="y.astype(int), if it holds whole numbers" if y.dtype.kind == "f" else None,
        )
    if y.min() < 0:
        raise UsageError(f"{what} holds {y.min()}, expected classes 0, 1, 2, ...")
    return y.astype(np.int64)


def _channels_last(images: NDArray[np.uint8], what: str) -> NDArray[np.uint8]:
    if images.ndim == 3:
        return images[..., None]
    first, last = images.shape[1] <= 4, images.shape[3] <= 4
    if first == last:
        raise UsageError(
            f"{what} is {images.shape}: which axis holds the channels is unclear, "
            "expected [N, H, W, C] with 1 to 4 channels"
        )
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if first else images
