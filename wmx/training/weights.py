"""Weights by name in safetensors files, for frameworks whose tensors are NumPy's."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wmx._internal.files import SECRET_MODE, read_bytes, write_bytes
from wmx.errors import CannotRunError, UsageError


def write_weights(path: Path, weights: Mapping[str, NDArray[Any]], *, force: bool = False) -> None:
    """Write arrays as safetensors."""
    arrays = {name: np.array(array, order="C") for name, array in weights.items()}
    write_bytes(path, save(arrays), mode=SECRET_MODE, force=force)


def read_weights(path: Path, own: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Read arrays that have the names and shapes of ``own``.

    Raises:
        CannotRunError: the file cannot be read.
        UsageError: its arrays are not those of the model.
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
    """Raise :class:`UsageError` naming what differs between a file's tensors and the model's."""
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


def require_names(asked: Iterable[str], own: Iterable[str]) -> None:
    """Raise :class:`UsageError` naming what is asked for and the model does not have."""
    unknown = sorted(set(asked) - set(own))
    if unknown:
        raise UsageError(f"the model has no weights called {_names(unknown)}")


def no_last_layer(classes: int) -> UsageError:
    """Return the error of a model none of whose layers gives scores of ``classes`` classes."""
    return UsageError(
        f"no layer of the model has a kernel with {classes} outputs, one for each class",
        hint="attacks on the last layer need a model that ends in a dense layer",
    )


def _names(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most]) or "nothing"
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
