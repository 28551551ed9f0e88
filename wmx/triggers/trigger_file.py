"""The secret file that keeps the converted images of a ``folder`` claim: safetensors, 0600."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.files import SECRET_MODE, read_bytes, write_bytes
from wmx.errors import IntegrityError

MAX_BYTES = 4 * 1024**3
TENSOR = "triggers"


def save_images(path: str | Path, images: NDArray[np.uint8], *, force: bool = False) -> None:
    """Write ``images`` [n, H, W, C] so that only their owner can read them."""
    from safetensors.numpy import save

    write_bytes(path, save({TENSOR: np.ascontiguousarray(images)}), mode=SECRET_MODE, force=force)


def load_images(path: str | Path) -> NDArray[np.uint8]:
    """Read a file of :func:`save_images`.

    Raises:
        CannotRunError: the file cannot be read.
        IntegrityError: it is not such a file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = read_bytes(path, "trigger file", MAX_BYTES)
    try:
        images: NDArray[Any] = load(data)[TENSOR]
    except (SafetensorError, KeyError, ValueError):
        raise IntegrityError(
            f"{path} is not a trigger file: expected safetensors with a tensor {TENSOR!r}"
        ) from None
    if images.dtype != np.uint8 or images.ndim != 4:
        raise IntegrityError(
            f"{path} holds {images.dtype} {images.shape}, expected uint8 [n, H, W, C]"
        )
    return images
