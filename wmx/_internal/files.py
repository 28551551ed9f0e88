"""Reading files, with a size limit, and nothing that could block or never end."""

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from wmx._internal.budget import require_room
from wmx.errors import CannotRunError

MODEL_NAME = "model.onnx"  # of the model in the output folder of wmx embed
PIECE_BYTES = 2**20


def read_bytes(path: str | Path, what: str, limit: int | None = None) -> bytes:
    """Return the content of the regular file ``path``.

    Args:
        path: the file.
        what: its role in the error message, e.g. ``"claim"``.
        limit: maximum size in bytes; ``None`` for no limit.

    Raises:
        CannotRunError: no such file, not a regular file, unreadable, or larger than ``limit``.
        LimitError: it is larger than what is left of the current budget.
    """
    with open_regular(path, what) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise CannotRunError(f"{what} {path} is larger than {limit:,} bytes")
        require_room(size, f"the {what} {path}")
        return _read(file, path, what, size)


def read_head(path: str | Path, what: str, size: int) -> bytes:
    """Return the beginning of a regular file.

    Args:
        path: the file.
        what: its role in the error message.
        size: maximum number of bytes to read.

    Raises:
        CannotRunError: no such file, not a regular file, or unreadable.
    """
    with open_regular(path, what) as file:
        return _read(file, path, what, size)


def _read(file: BinaryIO, path: str | Path, what: str, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise CannotRunError(f"cannot read {what} {path}: {error.strerror}") from None


def sha256_of(path: str | Path, what: str) -> str:
    """Return the SHA-256 of a regular file, hexadecimal, without reading it into memory at once.

    Args:
        path: the file.
        what: its role in the error message.

    Raises:
        CannotRunError: as :func:`read_bytes`.
    """
    digest = hashlib.sha256()
    with open_regular(path, what) as file:
        try:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
            return digest.hexdigest()
        except OSError as error:
            raise CannotRunError(f"cannot read {what} {path}: {error.strerror}") from None


def open_regular(path: str | Path, what: str, *, linked: bool = True) -> BinaryIO:
    """Open a regular file for reading; refuse anything that could block or never end.

    The type is checked on the opened file, as the name may change its meaning in between.

    Args:
        path: the file.
        what: its role in the error message.
        linked: also accept a symbolic link, or a file with several hard links.

    Raises:
        CannotRunError: no such file, not a regular file, a link, or unreadable.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not linked:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        if not linked and os.path.islink(path):
            raise _is_a_link(path, what)
        if os.path.isdir(path):
            raise _is_a_folder(path, what)
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise CannotRunError(f"no such file: {path}", hint=f"expected the {what} there") from None
    except (OSError, ValueError) as error:  # a name may hold a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise CannotRunError(f"cannot read {what} {path}: {reason}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise CannotRunError(f"{what} {path} is not a regular file")
    if not linked and found.st_nlink != 1:
        os.close(descriptor)
        raise _is_a_link(path, what)
    return os.fdopen(descriptor, "rb")


def _is_a_folder(path: str | Path, what: str) -> CannotRunError:
    name = str(path) if what == "file" else f"{what} {path}"
    meant = Path(path) / MODEL_NAME
    return CannotRunError(
        f"{name} is a folder, expected a file",
        hint=f"did you mean {meant}?" if what in ("file", "model") and meant.is_file() else None,
    )


def _is_a_link(path: str | Path, what: str) -> CannotRunError:
    return CannotRunError(
        f"{what} {path} is a link, expected a regular file with a single name",
        hint="replace it by a copy of the file",
    )
