"""The protobuf wire format of untrusted files, in pure Python and with a bound on the work.

Only the fields that a caller requests are parsed; the rest is skipped by its length, or copied.
The format is specified at https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from wmx._internal.work import MalformedError, Work

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10
MAX_TAG, MAX_TAG_BYTES = 2**32 - 1, 5

Fields: TypeAlias = dict[int, list[Any]]


def read_message(
    view: memoryview, wanted: Mapping[int, int], once: frozenset[int], work: Work
) -> Fields:
    """Return the wanted fields of a message: varints as integers, bytes as views.

    Args:
        view: the message.
        wanted: wire type by field number.  A repeated number may also come packed, as bytes.
        once: the fields that may occur once.  Readers differ in what a second one means.
        work: left for the whole file.

    Raises:
        MalformedError: cut off, of another wire type, a field of ``once`` occurs twice, or the
            work is used up.
    """
    found: Fields = {}
    for number, wire, value, _, _ in _parsed(view, work):
        expected = wanted.get(number)
        if expected is None:
            continue
        if wire != expected and (number in once or wire != BYTES):
            raise MalformedError(f"field {number} is of another type")
        if number in found and number in once:
            raise MalformedError(f"field {number} occurs twice")
        found.setdefault(number, []).append(value)
    return found


class Field(NamedTuple):
    """A field of a message, as it lies there.

    Attributes:
        number: its number.
        value: its content, where it has a length; else empty.
        raw: the whole field, with its tag.
        start: where the content begins in the message.
    """

    number: int
    value: memoryview
    raw: memoryview
    start: int


def fields(view: memoryview, work: Work) -> Iterator[Field]:
    """Yield every field of a message in its order, unknown ones too.

    Args:
        view: the message.
        work: left for the whole file.

    Raises:
        MalformedError: it is cut off, or the work is used up.
    """
    for number, wire, value, begin, end in _parsed(view, work):
        content = value if wire == BYTES else view[end:end]
        yield Field(number, content, view[begin:end], end - len(content))


def encoded(number: int, value: bytes | int) -> bytes:
    """Return a field of a message.

    Args:
        number: of the field.
        value: bytes, which get their length in front, or an integer that is not negative.
    """
    if isinstance(value, int):
        return _as_varint(number << 3 | VARINT) + _as_varint(value)
    return _as_varint(number << 3 | BYTES) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _parsed(view: memoryview, work: Work) -> Iterator[tuple[int, int, Any, int, int]]:
    """Yield number, wire type, value, begin and end of each field; numbers of fixed size unread."""
    position, end = 0, len(view)
    while position < end:
        work.take()
        begin = position
        tag, position = _varint(view, begin, end)
        if tag > MAX_TAG or position - begin > MAX_TAG_BYTES:
            # C++ keeps the lower 32 bits: to it, this would be another field
            raise MalformedError(f"the tag {tag} is longer than 32 bits")
        number, wire = tag >> 3, tag & 7
        value: Any = None
        if wire == VARINT:
            value, position = _varint(view, position, end)
        elif wire == BYTES:
            size, position = _varint(view, position, end)
            if size > end - position:
                raise MalformedError("it is cut off")
            value = view[position : position + size]
            position += size
        elif wire in (FIXED32, FIXED64):
            position += 4 if wire == FIXED32 else 8
            if position > end:
                raise MalformedError("it is cut off")
        else:
            raise MalformedError(f"wire type {wire} is unknown")
        if number == 0:
            raise MalformedError("field number 0")
        yield number, wire, value, begin, position


def numbers(values: list[Any], work: Work) -> list[int]:
    """Return repeated varints, packed or not, as signed 64-bit integers.

    Args:
        values: of :func:`read_message`: integers, or views of packed bytes.
        work: left for the whole file.

    Raises:
        MalformedError: a number is cut off or too long, or the work is used up.
    """
    result = []
    for value in values:
        if isinstance(value, int):
            result.append(_signed(value))
            continue
        position = 0
        while position < len(value):
            work.take()
            number, position = _varint(value, position, len(value))
            result.append(_signed(number))
    return result


def text(values: list[Any], work: Work) -> str:
    """Return a string field, empty where it is absent; broken UTF-8 is replaced.

    Args:
        values: of :func:`read_message`; the first one counts.
        work: left for the whole file.

    Raises:
        MalformedError: the work is used up.
    """
    if not values:
        return ""
    work.take_bytes(len(values[0]))
    return bytes(values[0]).decode("utf-8", "replace")


def _varint(view: memoryview, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    for _ in range(MAX_VARINT_BYTES):
        if position >= end:
            raise MalformedError("it is cut off")
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise MalformedError("a number is longer than ten bytes")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
