"""A file that is handed on piece by piece, and hashed on the way: what is hashed is what is run."""

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
    """A file of a model; not more than a piece of it is ever in memory, and it is not kept open.

    Attributes:
        path: of the file.
        size: in bytes, when it was looked at.
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
        """Look at a regular file.

        Args:
            path: the file.
            what: its role in the error message.
            most: bytes that it may have.
            linked: also through a link.
            check: is given what tells the file from all others, and its first bytes; raises where
                they must not be handed on.  Asked now, and again of the very bytes that are.

        Raises:
            CannotRunError: as :func:`wmx._internal.files.open_regular`, or it is larger.
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
        """Of the whole file, hexadecimal; there once all pieces were taken."""
        assert self._sha256 is not None, "the file was not read to its end"
        return self._sha256

    def pieces(self) -> Iterator[bytes]:
        """Yield the content.

        Raises:
            CannotRunError: it cannot be read, or is another than when it was looked at.
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
        """Open the file, see that it is the one that is known, and read its first bytes."""
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
