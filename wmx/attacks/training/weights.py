"""Operations on files of weights, for any framework."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from wmx._internal.files import read_bytes
from wmx.errors import CannotRunError
from wmx.training.weights import write_weights

Weights = dict[str, NDArray[Any]]


def read(path: Path) -> Weights:
    """Read a file of weights.

    Raises:
        CannotRunError: the file is damaged, or holds a dtype that NumPy lacks.
    """
    try:
        return dict(load(read_bytes(path, "weights")))
    except (SafetensorError, KeyError, TypeError) as error:
        raise CannotRunError(f"cannot read the weights in {path}: {error}") from None


def with_parts_of(own: Path, other: Path, names: list[str], path: Path) -> Path:
    """Write a combination of two files of weights and return its path.

    Args:
        own: file to start from.
        other: file that replaces some weights.
        names: of the weights to take from ``other``.
        path: where to write.
    """
    weights, theirs = read(own), read(other)
    write_weights(path, weights | {name: theirs[name] for name in names})
    return path


def all_but(head: list[str], path: Path) -> dict[str, NDArray[np.bool_]]:
    """Return masks that freeze all weights except the last layer.

    Args:
        head: names of the last layer's weights.
        path: of the file of weights.
    """
    return {
        name: np.ones(array.shape, dtype=np.bool_)
        for name, array in read(path).items()
        if name not in head
    }


def kernel_names(weights: Weights) -> list[str]:
    """Return the names of all floating-point weights with two axes or more."""
    return [n for n, w in weights.items() if w.ndim > 1 and np.issubdtype(w.dtype, np.floating)]
