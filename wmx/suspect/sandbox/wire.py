"""The message format between parent and child: lengths, a JSON header, and the bytes of arrays.

    u32 length of the header || u64 length of the body || header || body

The header is a JSON object: ``kind``, ``fields``, and ``arrays``, a list of ``[dtype, shape]`` or
null.  The body holds the elements of the arrays one after the other, little-endian, in C order.
There is no pickle and nothing that names code.  The other side is untrusted: every length, dtype,
shape and count is checked before memory is taken for it, and an ambiguous message is refused.
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.nesting import is_nested_too_deeply

PREFIX = struct.Struct(">IQ")
MAX_HEADER_BYTES = 2**20
MAX_ARRAYS = 64
MAX_RANK = 16
DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
        *("float16", "float32", "float64"),
    )
}


class WireError(ValueError):
    """The other side sent a malformed message."""


@dataclass(frozen=True)
class Streamed:
    """Bytes that are sent piece by piece, so that they are never in memory as a whole.

    Attributes:
        size: of all pieces together, in bytes.
        pieces: yields them; called once.
    """

    size: int
    pieces: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Message:
    """A request or a reply.

    Attributes:
        kind: such as ``"run"``, ``"answers"`` or ``"refused"``.
        fields: JSON values.
        arrays: of the dtypes in ``DTYPES``; ``None`` stands for a value that is no such array.
        streamed: sent behind the arrays, and read as one more, of uint8.
    """

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    arrays: tuple[NDArray[Any] | None, ...] = ()
    streamed: Streamed | None = None


def fits(value: Any) -> bool:
    """Return whether a value is an array that a message can hold."""
    return isinstance(value, np.ndarray) and value.dtype.name in DTYPES and value.ndim <= MAX_RANK


def write(stream: IO[bytes], message: Message) -> None:
    """Send a message.

    Args:
        stream: to write to.
        message: whose arrays all pass :func:`fits`.

    Raises:
        ValueError: the streamed bytes are more or fewer than stated; the stream is then unusable.
    """
    bodies = [
        None if array is None else np.ascontiguousarray(array, dtype=DTYPES[array.dtype.name])
        for array in message.arrays
    ]
    described: list[Any] = [
        None if array is None else [array.dtype.name, list(array.shape)] for array in message.arrays
    ]
    size = sum(body.nbytes for body in bodies if body is not None)
    if message.streamed is not None:
        described.append(["uint8", [message.streamed.size]])
        size += message.streamed.size
    header = json.dumps(
        {"kind": message.kind, "fields": message.fields, "arrays": described}
    ).encode("ascii")
    stream.write(PREFIX.pack(len(header), size) + header)
    for body in bodies:
        if body is not None and body.size:
            stream.write(body.reshape(-1).view(np.uint8).data)
    if message.streamed is not None:
        _write_pieces(stream, message.streamed)
    stream.flush()


def _write_pieces(stream: IO[bytes], streamed: Streamed) -> None:
    sent = 0
    for piece in streamed.pieces():
        sent += len(piece)
        if sent > streamed.size:
            break
        stream.write(piece)
    if sent != streamed.size:
        raise ValueError(f"{sent:,} bytes were streamed, expected {streamed.size:,}")


def read(stream: IO[bytes], max_body_bytes: int) -> Message | None:
    """Return the next message, ``None`` where the other side has closed the stream.

    Args:
        stream: to read from.
        max_body_bytes: limit of the arrays together.

    Raises:
        WireError: it is too long, cut off, or malformed.
    """
    prefix = stream.read(PREFIX.size)
    if not prefix:
        return None
    if len(prefix) < PREFIX.size:
        raise WireError("cut off within its lengths")
    header_bytes, body_bytes = PREFIX.unpack(prefix)
    if header_bytes > MAX_HEADER_BYTES or body_bytes > max_body_bytes:
        raise WireError("too long")  # the lengths may spell what the child was given
    header, body = stream.read(header_bytes), stream.read(body_bytes)
    if len(header) < header_bytes or len(body) < body_bytes:
        raise WireError("cut off")
    return decode(header, body)


def decode(header: bytes, body: bytes) -> Message:
    """Parse a message.

    Args:
        header: JSON bytes.
        body: elements of the arrays.

    Raises:
        WireError: it is malformed.
    """
    try:
        document = json.loads(header)
    except (ValueError, RecursionError):
        raise WireError("its header is not JSON") from None
    if is_nested_too_deeply(document):
        raise WireError("its header nests too deeply")
    if not isinstance(document, dict) or set(document) != {"kind", "fields", "arrays"}:
        raise WireError("its header is not an object of kind, fields and arrays")
    kind, fields, described = document["kind"], document["fields"], document["arrays"]
    if not isinstance(kind, str) or not isinstance(fields, dict) or not isinstance(described, list):
        raise WireError("its header holds values of other types")
    if len(described) > MAX_ARRAYS:
        raise WireError(f"more than {MAX_ARRAYS} arrays")
    arrays: list[NDArray[Any] | None] = []
    position = 0
    for description in described:
        if description is None:
            arrays.append(None)
            continue
        dtype, shape, size = _layout(description)
        if size > len(body) - position:
            raise WireError("an array is longer than the body")
        found = np.frombuffer(body, np.uint8, size, position).view(dtype).reshape(shape)
        if dtype.name == "bool" and size and int(found.view(np.uint8).max()) > 1:
            raise WireError("a truth value that is neither 0 nor 1")
        arrays.append(found.astype(dtype.newbyteorder("="), copy=False))
        position += size
    if position != len(body):
        raise WireError("bytes that belong to no array")
    return Message(kind, fields, tuple(arrays))


def _layout(description: Any) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return dtype, shape and size in bytes of a described array."""
    if not isinstance(description, list) or len(description) != 2:
        raise WireError("an array without dtype and shape")
    name, shape = description
    if not isinstance(name, str) or name not in DTYPES:
        raise WireError("an array of unknown dtype")
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise WireError("an array of unknown rank")
    size = spread = DTYPES[name].itemsize
    for dim in shape:
        if type(dim) is not int or not 0 <= dim < 2**40:
            raise WireError("an array with an absurd axis")
        size *= dim
        spread *= max(dim, 1)
    if size == 0 and spread > 2**31:  # no array at all to numpy, though it holds nothing
        raise WireError("an empty array with absurd axes")
    return DTYPES[name], tuple(shape), size
