"""The secret safetensors file (mode 0600) with the owner's images of a ``folder`` claim."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.files import read_bytes, read_head
from wmx._internal.writing import SECRET_MODE, write_bytes
from wmx.errors import IntegrityError

MAX_BYTES = 4 * 1024**3
TENSOR = "triggers"


def save_images(path: str | Path, images: NDArray[np.uint8], *, force: bool = False) -> None:
    """Write images to a file that only its owner can read.

    Args:
        path: of the safetensors file.
        images: uint8 [n, H, W, C].
        force: replace an existing file.

    Raises:
        CannotRunError: the file exists and ``force`` is not set, or it cannot be written.
    """
    from safetensors.numpy import save

    write_bytes(path, save({TENSOR: np.ascontiguousarray(images)}), mode=SECRET_MODE, force=force)


def has_images(path: str | Path) -> bool:
    """Say whether a safetensors file holds trigger images, by its header alone.

    Raises:
        CannotRunError: the file cannot be read.
    """
    head = read_head(path, "file", 64 * 1024)
    return f'"{TENSOR}"'.encode() in head[8 : 8 + int.from_bytes(head[:8], "little")]


def load_images(path: str | Path) -> NDArray[np.uint8]:
    """Read a file of :func:`save_images`, uint8 [n, H, W, C].

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
