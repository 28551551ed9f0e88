"""Canonical JSON (RFC 8785) for signed files: exactly one byte string for each value.

Numbers are integers only: a float has many spellings, so anything that is not a small integer is
written as a string.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import rfc8785

from wmx._internal.budget import consult, consulted, require_room
from wmx._internal.nesting import MAX_DEPTH, is_nested_too_deeply
from wmx.errors import IntegrityError
from wmx.protocol.file_kind import kind_of_file

MAX_VALUES = 8_000_000  # at worst a gigabyte of memory: an empty list takes twenty times its text
BYTES_PER_VALUE = 125
WRITES_AT_ONCE = 4096  # after so many pieces the budget is consulted
KIND_HINT = "was another file meant? wmx info FILE says what a file is"
UNCHANGED_HINT = "use the file exactly as wmx wrote it, byte for byte"


@contextmanager
def fields_of(what: str) -> Iterator[None]:
    """Turn errors while reading the fields of a signed file into one that names the file.

    Args:
        what: the file's name in error messages.

    Raises:
        IntegrityError: a field is missing or malformed.
    """
    try:
        yield
    except KeyError as error:
        raise IntegrityError(f"{what} lacks the field {error}", hint=UNCHANGED_HINT) from None
    except (TypeError, ValueError) as error:
        raise IntegrityError(
            f"{what} holds a malformed field: {error}", hint=UNCHANGED_HINT
        ) from None


def dumps(value: Any) -> bytes:
    """Return ``value`` in RFC 8785 form.

    Raises:
        ValueError: ``value`` holds a float, or an integer beyond 2**53 - 1, or nests too deeply.
    """
    if is_nested_too_deeply(value):
        raise ValueError(f"lists and objects nest deeper than {MAX_DEPTH}")
    _refuse_floats(value)
    return rfc8785.dumps(value)


def loads(data: bytes, what: str) -> Any:
    """Parse JSON, accepting only the exact RFC 8785 form.

    So one changed byte anywhere, white space included, is an error, and so are duplicate names.

    Args:
        data: content of the file.
        what: its name in error messages.

    Raises:
        IntegrityError: not JSON, not UTF-8, nested too deeply, of more values than any file of wmx
            holds, or not in the canonical form.
        LimitError: it takes more time or memory than is left of the budget.
    """
    count = sum(map(data.count, (b",", b"[", b"{")))
    if count > MAX_VALUES:
        raise IntegrityError(
            f"{what} holds more than {MAX_VALUES:,} values", hint="no file of wmx holds so many"
        )
    # as text and again as its values; a character beyond ASCII makes it four bytes for each
    texts = len(data) * (2 if data.isascii() else 8)
    require_room(texts + BYTES_PER_VALUE * count, f"reading {what}")
    original = _Original(data)
    try:
        value = json.loads(data.decode("utf-8"))
        consult()
        if is_nested_too_deeply(value):
            raise RecursionError  # as the parser does where it is deeper by far
        _refuse_floats(value)
        rfc8785.dump(value, cast("IO[bytes]", original))
        consult()
    except RecursionError:
        raise IntegrityError(
            f"{what} nests lists and objects deeper than {MAX_DEPTH}",
            hint="no file of wmx nests so deeply",
        ) from None
    except ValueError:  # every decoding error and rfc8785's own are ValueErrors
        kind = None if data.startswith(b"{") else kind_of_file(data)
        if kind is not None:
            raise IntegrityError(
                f"{what} is {kind}, expected one of wmx's signed files, which are JSON",
                hint=KIND_HINT,
            ) from None
        raise IntegrityError(
            f"{what} is not JSON in the canonical form of RFC 8785",
            hint="was it edited, re-formatted or cut off? use the file exactly as wmx wrote it",
        ) from None
    if not original.is_matched:
        raise IntegrityError(
            f"{what} was changed: it is JSON, but not in the canonical form of RFC 8785",
            hint=UNCHANGED_HINT,
        )
    return value


class _Original:
    """A file-like object that compares the canonical form with the bytes that were read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._matches = True
        self._writes = 0

    def write(self, piece: bytes) -> int:
        """Compare the next bytes."""
        self._writes += 1
        if self._writes % WRITES_AT_ONCE == 0:
            consult()
        if not self._data.startswith(piece, self._position):
            self._matches = False
        self._position += len(piece)
        return len(piece)

    @property
    def is_matched(self) -> bool:
        """Whether the bytes are the canonical form."""
        return self._matches and self._position == len(self._data)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise ValueError(f"float {value!r} in canonical JSON, expected a string or an integer")
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in consulted(value):
        _refuse_floats(item)
