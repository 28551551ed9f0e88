"""What a model gives that is no plain array, turned into one: maps, texts, bfloat16.

This runs beside the model, in the child: its texts never leave the process, only numbers do.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CLASSES = 2**16  # keys of a map


def from_maps(rows: list[Any]) -> NDArray[np.float64] | None:
    """Return the scores [n, C] that a ZipMap gives as one map from class to score for each input.

    The columns are the classes in ascending order, numbers as numbers; ``None`` if the rows are no
    maps to numbers over the same classes.
    """
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    keys = set(rows[0])
    if not keys or len(keys) > MAX_CLASSES or any(set(row) != keys for row in rows):
        return None
    ordered = sorted(keys, key=_class_order)
    try:
        return np.array([[float(row[key]) for key in ordered] for row in rows], np.float64)
    except (TypeError, ValueError):
        return None


class Texts:
    """Numbers for the class names that a model has answered so far."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def numbered(self, texts: NDArray[Any]) -> NDArray[np.int64]:
        """Return class numbers: a text of digits is its number, others count down from -2.

        So a name is told from every other name and from every number, whatever the names are, and
        the same name keeps its number from call to call.
        """
        return np.array([self._number(str(text)) for text in texts.reshape(-1)], np.int64).reshape(
            texts.shape
        )

    def _number(self, text: str) -> int:
        if text.isascii() and text.isdecimal() and len(text) < 10:
            return int(text)
        return self._numbers.setdefault(text, -2 - len(self._numbers))


def to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to the nearest bfloat16, ties to even, and return its bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)


def from_bfloat16(value: Any) -> NDArray[np.float32]:
    """Return the numbers of an OrtValue of type bfloat16, which numpy does not know."""
    shape = tuple(value.shape())
    size = int(np.prod(shape))
    if size == 0:
        return np.zeros(shape, np.float32)
    bits = np.frombuffer(ctypes.string_at(value.data_ptr(), 2 * size), np.uint16)
    numbers: NDArray[np.float32] = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return numbers.reshape(shape)


def _class_order(key: Any) -> tuple[bool, int, str]:
    text = str(key)
    number = text.lstrip("-")
    if number.isascii() and number.isdecimal() and len(number) < 10:
        return False, int(text), ""
    return True, 0, text
