"""A model file that is streamed in pieces and hashed on the way: the bytes hashed are those run."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from wmx._internal.files import open_regular
from wmx.errors import CannotRunError
from wmx.suspect.policy.secrets import HEAD_BYTES

PIECE_BYTES = 2**20
Identity: TypeAlias = tuple[int, int]
Check: TypeAlias = Callable[[Identity, bytes], None]


class StreamedFile:
    """A file of a model; at most 1 MiB of it is in memory, and it is not kept open.

    Attributes:
        path: of the file.
        size: in bytes, when it was first opened.
    """

    def __init__(
        self,
        path: str | Path,
        what: str,
        most: int | None = None,
        *,
        linked: bool = True,
        check: Check = lambda identity, head: None,
    ) -> None:
        """Check a regular file.

        Args:
            path: the file.
            what: its role in error messages.
            most: limit in bytes.
            linked: whether the path may be a symbolic link.
            check: is called with device and inode of the file and its first bytes, now and again
                when it is read; raises if the file must not be read.

        Raises:
            CannotRunError: as :func:`wmx._internal.files.open_regular`, or it is larger than
                ``most``.
        """
        self.path = str(path)
        self._what, self._linked, self._check = what, linked, check
        self._known: tuple[Identity, int] | None = None
        self._sha256: str | None = None
        with self._opened() as (file, _):
            self.size = os.fstat(file.fileno()).st_size
        if most is not None and self.size > most:
            raise CannotRunError(f"{what} {path} is larger than {most:,} bytes")

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file, hexadecimal; known once all pieces were read."""
        assert self._sha256 is not None, "the file was not read to its end"
        return self._sha256

    def pieces(self) -> Iterator[bytes]:
        """Yield the content in pieces of at most 1 MiB.

        Raises:
            CannotRunError: it cannot be read, or was changed since it was checked.
        """
        digest = hashlib.sha256()
        left = self.size
        with self._opened() as (file, head):
            piece = head
            while piece and left >= len(piece):
                digest.update(piece)
                left -= len(piece)
                yield piece
                piece = self._read(file, PIECE_BYTES)
        if piece or left:
            raise self._changed()
        self._sha256 = digest.hexdigest()

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, bytes]]:
        """Open the file, check that it is the same as before, and read its first bytes."""
        with open_regular(self.path, self._what, linked=self._linked) as file:
            found = os.fstat(file.fileno())
            identity = (found.st_dev, found.st_ino)
            if self._known not in (None, (identity, found.st_size)):
                raise self._changed()
            self._known = (identity, found.st_size)
            head = self._read(file, HEAD_BYTES)
            self._check(identity, head)
            yield file, head

    def _read(self, file: BinaryIO, size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as error:
            raise CannotRunError(f"cannot read {self.path}: {error.strerror}") from None

    def _changed(self) -> CannotRunError:
        return CannotRunError(f"{self.path} was changed while it was read", "repeat the command")
