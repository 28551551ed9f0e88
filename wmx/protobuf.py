"""Reading protobuf's wire format in pure Python, with a bound on the work.

Only what is asked for is looked at; the rest is skipped by its length.  The format is that of
https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10
MAX_TAG, MAX_TAG_BYTES = 2**32 - 1, 5

Fields: TypeAlias = dict[int, list[Any]]


class MalformedError(ValueError):
    """The bytes are not a message, or are read in two ways by two readers."""


class Budget:
    """How many fields may still be read, over all messages of a file."""

    def __init__(self, fields: int) -> None:
        self.left = fields

    def take(self) -> None:
        """Count one field.  Raises :class:`MalformedError` when none is left."""
        self.left -= 1
        if self.left < 0:
            raise MalformedError("it has more fields than wmx reads")


def read_message(
    view: memoryview, wanted: Mapping[int, int], once: frozenset[int], budget: Budget
) -> Fields:
    """Return the wanted fields of a message: varints as integers, bytes as views.

    Args:
        view: the message.
        wanted: wire type by field number.  A repeated number may also come packed, as bytes.
        once: the fields that may stand once.  Readers differ in what a second one means.
        budget: of the whole file.

    Raises:
        MalformedError: cut off, of another wire type, or a field of ``once`` stands twice.
    """
    found: Fields = {}
    position, end = 0, len(view)
    while position < end:
        budget.take()
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
        expected = wanted.get(number)
        if expected is None:
            continue
        if wire != expected and (number in once or wire != BYTES):
            raise MalformedError(f"field {number} is of another type")
        if number in found and number in once:
            raise MalformedError(f"field {number} stands twice")
        found.setdefault(number, []).append(value)
    return found


def numbers(values: list[Any], budget: Budget) -> list[int]:
    """Return repeated varints, packed or not, as signed 64-bit integers."""
    result = []
    for value in values:
        if isinstance(value, int):
            result.append(_signed(value))
            continue
        position = 0
        while position < len(value):
            budget.take()
            number, position = _varint(value, position, len(value))
            result.append(_signed(number))
    return result


def text(values: list[Any]) -> str:
    """Return a string field, empty where it is absent; broken UTF-8 is replaced."""
    return bytes(values[0]).decode("utf-8", "replace") if values else ""


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
