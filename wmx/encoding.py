"""Byte encodings of scheme ``wmx-1``: big-endian integers, canonical arrays (docs/protocol.md)."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAY_DTYPES = ("uint8", "int32", "float32")


def u32(value: int) -> bytes:
    """Return ``value`` as four big-endian bytes."""
    return struct.pack(">I", value)


def u64(value: int) -> bytes:
    """Return ``value`` as eight big-endian bytes."""
    return struct.pack(">Q", value)


def length_prefixed(data: bytes) -> bytes:
    """Return ``u64(len(data)) || data``."""
    return u64(len(data)) + data


def encode_array(array: NDArray[Any]) -> bytes:
    """Return the canonical bytes of a trigger, the same on every platform.

    ``lp(dtype name) || lp(u32(rank)) || lp(u32(dim) of each axis) || lp(elements)``, where ``lp``
    is :func:`length_prefixed` and the elements stand big-endian in C order.

    Raises:
        ValueError: the dtype is none of uint8, int32, float32.
    """
    name = array.dtype.name
    if name not in ARRAY_DTYPES:
        raise ValueError(f"dtype {name} has no canonical encoding, expected one of {ARRAY_DTYPES}")
    elements = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">"))
    return b"".join(
        length_prefixed(part)
        for part in (
            name.encode("ascii"),
            u32(array.ndim),
            b"".join(u32(dim) for dim in array.shape),
            elements.tobytes(),
        )
    )
