"""Reading FlatBuffers of untrusted files in pure Python, with a bound on the work.

Only the fields that a caller requests are parsed.  The format is that of
https://flatbuffers.dev/internals/: a table points back to its vtable, which says where each field
of the table begins; strings, vectors and other tables lie behind the field that points to them.
Several fields may point to one thing, so a reader that must not repeat itself remembers positions.
"""

import struct
from collections.abc import Iterator

from wmx._internal.work import MalformedError, Work

UINT16, UINT32, INT32, INT64 = "<H", "<I", "<i", "<q"
OFFSET_BYTES = 4


class Table:
    """A table of a buffer.  Fields are named by the order in which the schema declares them.

    Attributes:
        position: offset of its first byte, which identifies the table.
    """

    __slots__ = ("_data", "_vtable", "_vtable_bytes", "_work", "position")

    def __init__(self, data: bytes, position: int, work: Work) -> None:
        """Read where the fields of the table at ``position`` lie.

        Raises:
            MalformedError: it, or its vtable, lies outside the buffer; or the work is used up.
        """
        work.take()
        self._data, self._work, self.position = data, work, position
        self._vtable = position - self._number(INT32, position)
        self._vtable_bytes = self._number(UINT16, self._vtable)

    @classmethod
    def root(cls, data: bytes, work: Work) -> "Table":
        """Return the outermost table of a buffer.  Raises as the constructor.

        Args:
            data: the buffer, untrusted.
            work: left for the whole file.
        """
        if len(data) < OFFSET_BYTES:
            raise MalformedError("it is cut off")
        (position,) = struct.unpack_from(UINT32, data)
        return cls(data, position, work)

    def table(self, field: int) -> "Table | None":
        """Return the table that a field points to, ``None`` where the field is absent."""
        at = self._at(field)
        return None if at is None else Table(self._data, self._target(at), self._work)

    def tables(self, field: int) -> "Iterator[Table]":
        """Yield the tables of a vector, which may hold one of them more than once."""
        for at in self._entries(field, OFFSET_BYTES):
            yield Table(self._data, self._target(at), self._work)

    def number(self, field: int, default: int) -> int:
        """Return a 64-bit integer.

        Args:
            field: index in the schema.
            default: where the field is absent.
        """
        at = self._at(field)
        return default if at is None else self._number(INT64, at)

    def numbers(self, field: int) -> list[int]:
        """Return a vector of 64-bit integers."""
        return [self._number(INT64, at) for at in self._entries(field, 8)]

    def count(self, field: int, entry_bytes: int = 1) -> int:
        """Return the number of entries of a vector, 0 where it is absent.

        Args:
            field: index in the schema.
            entry_bytes: size of an entry.
        """
        return len(self._vector(field, entry_bytes))

    def text_at(self, field: int) -> int | None:
        """Return where the text of a field lies, which several fields may share."""
        at = self._at(field)
        return None if at is None else self._target(at)

    def text(self, position: int) -> str:
        """Return the text at a position."""
        size = self._number(UINT32, position)
        begin = position + OFFSET_BYTES
        if begin + size > len(self._data):
            raise MalformedError("it is cut off")
        self._work.take_bytes(size)
        try:
            return self._data[begin : begin + size].decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError("a text in it is not UTF-8") from None

    def _entries(self, field: int, entry_bytes: int) -> range:
        """Return where the entries of a vector lie, and count them as work."""
        entries = self._vector(field, entry_bytes)
        self._work.take(len(entries))
        return entries

    def _vector(self, field: int, entry_bytes: int) -> range:
        at = self._at(field)
        if at is None:
            return range(0)
        begin = self._target(at) + OFFSET_BYTES
        end = begin + self._number(UINT32, begin - OFFSET_BYTES) * entry_bytes
        if end > len(self._data):
            raise MalformedError("it is cut off")
        return range(begin, end, entry_bytes)

    def _at(self, field: int) -> int | None:
        """Return where a field begins, ``None`` where it is absent."""
        entry = 4 + 2 * field
        if entry + 2 > self._vtable_bytes:
            return None
        offset = self._number(UINT16, self._vtable + entry)
        return self.position + offset if offset else None

    def _target(self, at: int) -> int:
        return at + self._number(UINT32, at)

    def _number(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self._data) - struct.calcsize(form):
            raise MalformedError("it points beyond its end")
        (number,) = struct.unpack_from(form, self._data, at)
        return int(number)
