"""What ``force`` may replace: a file of the kind that is to be written, and nothing else.

A key, a claim or weights under a mistyped name would be lost for good, so what is there is read
before the work for a new file begins.
"""

import json
from pathlib import Path
from typing import Any

from wmx._internal.der import MalformedError, walk_inward
from wmx._internal.files import read_bytes, read_head
from wmx._internal.writing import require_writable
from wmx.errors import CannotRunError, IntegrityError
from wmx.protocol import jcs
from wmx.protocol.file_kind import KEY, kind_of_file, kind_of_payload

PAGE = "an HTML page"
REQUEST = "a timestamp request"
TRIGGERS = "a file of secret trigger images"

HEAD_BYTES = 2**16  # of a file that is not JSON
MAX_SIGNED_BYTES = 256 * 1024**2  # an evidence, the longest of the signed files
INTEGER, OCTET_STRING, SEQUENCE = 0x02, 0x04, 0x30


def require_output(path: str | Path, kind: str, *, force: bool) -> None:
    """Refuse an output that could not be written, or that would replace a file of another kind.

    An empty file may be replaced too: nothing is lost with it.

    Args:
        path: where the file is to be written.
        kind: what is to be written, such as :data:`EVIDENCE`.
        force: whether an existing file of this kind may be replaced.

    Raises:
        CannotRunError: as :func:`wmx._internal.writing.require_writable`; or the file that is there
            is of another kind, or cannot be read.
        LimitError: reading it takes more time or memory than is left of the budget.
    """
    require_writable(path, force=force)
    if not (force and Path(path).exists()):
        return
    data = read_head(path, "file", HEAD_BYTES)
    if data.startswith(b"{"):
        data = read_bytes(path, "file", MAX_SIGNED_BYTES)
    found = _kind_of(data)
    if data and found != kind:
        raise CannotRunError(
            f"{path} exists and is {found or 'no file that wmx writes'}, expected {kind}: no other "
            "kind of file is replaced",
            hint="choose another name",
        )


def require_no_key(path: Path) -> None:
    """Refuse to replace a file of results where a key is in its place.

    Raises:
        CannotRunError: a key is there.
    """
    if path.is_file() and kind_of_file(read_head(path, "file", HEAD_BYTES)) == KEY:
        raise CannotRunError(
            f"{path} exists and is a key, which is never replaced",
            hint="choose another folder",
        )


def _kind_of(data: bytes) -> str | None:
    """Return what a file is, by all of it if it is JSON, else by its head."""
    if data.startswith(b"{"):
        return _signed_kind(data) or kind_of_file(data)
    if data[:15].lower() == b"<!doctype html>":
        return PAGE
    if _is_request(data):
        return REQUEST
    if _holds_triggers(data):
        return TRIGGERS
    return kind_of_file(data)


def _signed_kind(data: bytes) -> str | None:
    from wmx.protocol.encoding import decode_base64  # numpy with it, which --help does without

    try:
        file: Any = jcs.loads(data, "file")
        return kind_of_payload(file["payloadType"], decode_base64(file["payload"]))
    except (IntegrityError, KeyError, TypeError, ValueError):
        return None


def _is_request(data: bytes) -> bool:
    """Say whether this is a TimeStampReq (RFC 3161, 2.4.1); a key in DER begins otherwise."""
    version_and_imprint, algorithm_and_digest = (INTEGER, SEQUENCE), (SEQUENCE, OCTET_STRING)
    try:
        walked = walk_inward(data, ((SEQUENCE,), version_and_imprint, algorithm_and_digest))
    except MalformedError:
        return False
    return walked[0].end == len(data)


def _holds_triggers(data: bytes) -> bool:
    """Say whether this begins like a file of :mod:`wmx.triggers.trigger_file`."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return bool(header["triggers"]["dtype"] == "U8" and not set(header) - {"triggers"})
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
