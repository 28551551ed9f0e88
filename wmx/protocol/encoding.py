"""Byte encodings of scheme ``wmx-3``: integers, canonical arrays, base64 (docs/protocol.md)."""

import base64
import re
import struct
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEX32 = re.compile("[0-9a-f]{64}")
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

    ``lp(dtype name) || lp(u32(rank)) || lp(u32(dim) of all axes) || lp(elements)``, where ``lp`` is
    :func:`length_prefixed` and the elements stand big-endian in C order.

    Raises:
        ValueError: the dtype is none of uint8, int32, float32.
    """
    return next(encode_rows(array[None]))


def encode_rows(arrays: NDArray[Any]) -> Iterator[bytes]:
    """Yield :func:`encode_array` of each row of [n, ...]; their common beginning is made once."""
    name, shape = arrays.dtype.name, arrays.shape[1:]
    if name not in ARRAY_DTYPES:
        raise ValueError(f"dtype {name} has no canonical encoding, expected one of {ARRAY_DTYPES}")
    described = (name.encode("ascii"), u32(len(shape)), b"".join(u32(dim) for dim in shape))
    size = arrays.dtype.itemsize * prod(shape)
    header = b"".join(map(length_prefixed, described)) + u64(size)
    big_endian = arrays.dtype.newbyteorder(">")
    for row in arrays:
        yield header + np.ascontiguousarray(row, dtype=big_endian).tobytes()


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: Any) -> bytes:
    """Decode standard base64, refusing every spelling but the one :func:`encode_base64` writes.

    Raises:
        TypeError: not a string.
        ValueError: not base64, or unused bits set.
    """
    if not isinstance(text, str):
        raise TypeError(f"found {type(text).__name__}, expected a base64 string")
    data = base64.b64decode(text, validate=True)
    if encode_base64(data) != text:
        raise ValueError("base64 is not canonical")
    return data


def decode_hex32(text: Any) -> bytes:
    """Return the 32 bytes of 64 lower-case hexadecimal digits.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(text, str) or not HEX32.fullmatch(text):
        raise ValueError("expected 64 lower-case hexadecimal digits")
    return bytes.fromhex(text)
