"""JSON in the one form of RFC 8785, so that what is signed has exactly one spelling.

Numbers are integers only: a float has many spellings, so anything that is not a small integer is
written as a string.
"""

import json
from typing import Any

import rfc8785

from wmx.errors import IntegrityError

MAX_VALUES = 8_000_000  # at worst a gigabyte of memory: an empty list takes twenty times its text
UNCHANGED_HINT = "use the file exactly as wmx wrote it, byte for byte"


def dumps(value: Any) -> bytes:
    """Return ``value`` in RFC 8785 form.

    Raises:
        ValueError: ``value`` holds a float, or an integer beyond 2**53 - 1.
    """
    _refuse_floats(value)
    return rfc8785.dumps(value)


def loads(data: bytes, what: str) -> Any:
    """Parse ``data``, accepting only the exact RFC 8785 form.

    So one changed byte anywhere, white space included, is an error, and so are duplicate names.

    Raises:
        IntegrityError: not JSON, not UTF-8, nested too deeply, of more values than any file of wmx
            holds, or not in the canonical form.
    """
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise IntegrityError(
            f"{what} holds more than {MAX_VALUES:,} values", hint="no file of wmx holds so many"
        )
    try:
        value = json.loads(data.decode("utf-8"))
        canonical = dumps(value)
    except (ValueError, RecursionError):  # every decoding error and rfc8785's own are ValueErrors
        raise IntegrityError(
            f"{what} is not JSON in the canonical form of RFC 8785",
            hint="was it edited, re-formatted or cut off? use the file exactly as wmx wrote it",
        ) from None
    if canonical != data:
        raise IntegrityError(
            f"{what} was changed: it is JSON, but not in the canonical form of RFC 8785",
            hint=UNCHANGED_HINT,
        )
    return value


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise ValueError(f"float {value!r} in canonical JSON, expected a string or an integer")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
