"""Converting Keras variables to and from named NumPy arrays, for checkpoints and weight files."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def named_arrays(variables: Sequence[Any], prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return variables as NumPy arrays, named by index and the last part of their name.

    Keras' own names contain layer names, which differ from run to run.

    Args:
        variables: in the model's or optimizer's order.
        prefix: of the names.
    """
    return {name: _array(own) for name, own in named_variables(variables, prefix).items()}


def named_variables(variables: Sequence[Any], prefix: str = "") -> dict[str, Any]:
    """Return the variables themselves, with names and arguments as of :func:`named_arrays`."""
    return {_key(prefix, place, variable): variable for place, variable in enumerate(variables)}


def assign(variables: Sequence[Any], arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> None:
    """Assign named arrays to variables.

    Args:
        variables: to change.
        arrays: what :func:`named_arrays` returned.
        prefix: of the names.

    Raises:
        KeyError: an array is missing.
        ValueError: an array has another shape.
    """
    for place, variable in enumerate(variables):
        array = arrays[_key(prefix, place, variable)]
        if keras.backend.standardize_dtype(variable.dtype) == "bfloat16":
            variable.assign(keras.ops.cast(_from_bits(array), "bfloat16"))
        else:
            variable.assign(array)


def _key(prefix: str, place: int, variable: Any) -> str:
    """Return index and last word; the rest of an optimizer variable's name is its layer's."""
    return f"{prefix}{place:04d}.{variable.name.rpartition('_')[2]}"


def _array(variable: Any) -> NDArray[Any]:
    array = np.array(keras.ops.convert_to_numpy(variable.value))
    if keras.backend.standardize_dtype(variable.dtype) == "bfloat16":  # NumPy has none
        return (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return array


def _from_bits(array: NDArray[Any]) -> NDArray[np.float32]:
    return (array.astype(np.uint32) << 16).view(np.float32)
