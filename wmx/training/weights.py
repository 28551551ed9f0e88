"""Reading and writing weights by name as safetensors files of NumPy arrays."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wmx._internal.files import read_bytes
from wmx._internal.writing import SECRET_MODE, write_bytes
from wmx.errors import CannotRunError, UsageError


def write_weights(path: Path, weights: Mapping[str, NDArray[Any]], *, force: bool = False) -> None:
    """Write arrays as safetensors.

    Args:
        path: of the file, which only its owner may read.
        weights: arrays by name.
        force: replace an existing file.
    """
    arrays = {name: np.array(array, order="C") for name, array in weights.items()}
    write_bytes(path, save(arrays), mode=SECRET_MODE, force=force)


def read_weights(path: Path, own: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Read the weights in a file that fits a model.

    Args:
        path: of a safetensors file.
        own: the model's weights, for names and shapes.

    Raises:
        CannotRunError: the file cannot be read.
        UsageError: the names or shapes are not those of the model.
    """
    data = read_bytes(path, "pretrained weights")
    try:
        found = load(data)
    except (SafetensorError, KeyError, ValueError) as error:  # a KeyError names an unknown dtype
        raise CannotRunError(
            f"cannot read {path} as safetensors: {error}",
            hint="only plain tensors are loaded, such as a run's weights.safetensors",
        ) from None
    require_fit(
        path,
        {name: array.shape for name, array in found.items()},
        {name: array.shape for name, array in own.items()},
    )
    return found


def require_fit(
    path: Path, found: Mapping[str, tuple[int, ...]], own: Mapping[str, tuple[int, ...]]
) -> None:
    """Check that the tensors of a file have the names and shapes of a model's.

    Args:
        path: of the file, for errors.
        found: shapes in the file, by name.
        own: shapes in the model, by name.

    Raises:
        UsageError: names what differs.
    """
    missing, unexpected = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
    if missing or unexpected:
        raise UsageError(
            f"{path} does not fit the model: missing {_names(missing)}; "
            f"unexpected {_names(unexpected)}",
            hint="the weights must be those of --model with the data's number of classes",
        )
    for name, shape in own.items():
        if tuple(found[name]) != tuple(shape):
            raise UsageError(
                f"{path}: {name} has shape {tuple(found[name])}, the model's has {tuple(shape)}"
            )


def require_names(names: Iterable[str], own: Iterable[str]) -> None:
    """Check that a model has weights of these names.

    Args:
        names: of weights to freeze.
        own: names of the model's weights.

    Raises:
        UsageError: names those that it lacks.
    """
    unknown = sorted(set(names) - set(own))
    if unknown:
        raise UsageError(f"the model has no weights called {_names(unknown)}")


def no_last_layer(classes: int) -> UsageError:
    """Return the error for a model without a layer of ``classes`` outputs."""
    return UsageError(
        f"no layer of the model has a kernel with {classes} outputs, one for each class",
        hint="attacks on the last layer need a model that ends in a dense layer",
    )


def _names(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most]) or "nothing"
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
