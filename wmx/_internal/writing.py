"""Writing files so that each is always the old or the new one, and none is replaced unasked."""

import contextlib
import os
import stat
from itertools import count
from pathlib import Path
from typing import Self

from wmx._internal.files import read_bytes
from wmx.errors import CannotRunError

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
TEMPORARIES = ".wmx-*.tmp"  # the names of temporary_beside


def refuse_overwrite(path: str | Path, force: bool) -> None:
    """Refuse a path where no file may be written.

    Args:
        path: where a file is to be written.
        force: whether an existing file may be replaced.

    Raises:
        CannotRunError: ``path`` exists and ``force`` is not set; or is a folder, a device or a
            pipe, which are never replaced; or its name is too long for the disk.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:  # or a link that leads nowhere
        pass
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from None
    else:
        if stat.S_ISDIR(found.st_mode):
            raise CannotRunError(
                f"cannot write {path}: it is a folder, expected the name of a file",
                hint=f"name a file in it, such as {Path(path) / 'NAME'}",
            )
        if not stat.S_ISREG(found.st_mode):
            raise CannotRunError(f"cannot write {path}: it is not a regular file")
    if not force and os.path.lexists(path):
        raise CannotRunError(
            f"{path} exists already",
            hint="choose another name, or replace it with --force",
            in_python="choose another name, or replace it with force=True",
        )


def require_writable(path: str | Path, *, force: bool) -> None:
    """Refuse an output that could not be written in the end, before the work for it begins.

    An empty file is made in its folder and removed: neither permissions nor the type of the file
    system say for sure whether that is possible.

    Args:
        path: where the file is to be written.
        force: whether an existing file may be replaced.

    Raises:
        CannotRunError: as :func:`refuse_overwrite`; or its folder does not exist or is not
            writable.
    """
    require_folder(path)
    refuse_overwrite(path, force)
    temporary = temporary_beside(Path(path))
    try:
        descriptor, _ = _create(temporary, SECRET_MODE)
        os.close(descriptor)
    except OSError as error:
        raise _cannot_write(path, error) from None
    finally:
        _remove(temporary)


def keep_aside(path: str | Path) -> Path:
    """Keep a file that is about to be replaced under a second name, and return that.

    The name is ``STEM.old-N.SUFFIX`` in the same folder, with the first free N, or the one that it
    has already, since a process was killed before it replaced the file.

    Args:
        path: the file.

    Raises:
        CannotRunError: the folder cannot be written, or the file cannot be read.
    """
    path = Path(path)
    while True:
        aside = next_aside(path)
        if os.path.lexists(aside):
            return aside
        try:
            if path.is_symlink():  # what lies beside its target belongs to it: a ledger to a key
                os.symlink(os.readlink(path), aside)
            else:
                os.link(path, aside)
        except FileExistsError:  # made meanwhile
            continue
        except OSError:  # some file systems have no links
            write_bytes(aside, read_bytes(path, "file"), mode=SECRET_MODE)
        break
    _flush_folder(path.parent)
    return aside


def next_aside(path: Path) -> Path:
    """Return the name under which :func:`keep_aside` would keep a file now."""
    for number in count(1):
        name = path.with_name(f"{path.stem}.old-{number}{path.suffix}")
        if not os.path.lexists(name) or os.path.samestat(os.lstat(name), os.lstat(path)):
            break
    return name


def require_folder(path: str | Path) -> None:
    """Raise :class:`CannotRunError` if there is no folder for ``path`` to be written to."""
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise CannotRunError(
            f"no such folder: {folder}", hint=f"make this folder, to write {path} into it"
        )


def temporary_beside(path: Path) -> Path:
    """Return a new, short name for a temporary file in the same folder."""
    return path.with_name(TEMPORARIES.replace("*", os.urandom(8).hex()))


def write_bytes(
    path: str | Path, data: bytes, *, mode: int = PUBLIC_MODE, force: bool = False
) -> None:
    """Write a file atomically: a :class:`Staged` that is published at once.

    Args:
        path: where to write.
        data: the content.
        mode: permissions, as of ``chmod``.
        force: whether an existing file may be replaced.

    Raises:
        CannotRunError: as :class:`Staged` and :meth:`Staged.publish`.
    """
    with Staged(path, data, mode=mode, force=force) as file:
        file.publish()


class Staged:
    """A new file that is complete and flushed to the disk, but does not have its name yet.

    It is a temporary file in the same folder, removed at the end of the ``with`` statement unless
    it was published.  It is created with its mode, so that others can never read a secret.  On
    Linux it has no name at all until then, so that a killed process leaves nothing behind.
    """

    def __init__(
        self, path: str | Path, data: bytes, *, mode: int = PUBLIC_MODE, force: bool = False
    ) -> None:
        """Write the content.

        Args:
            path: where the file is to be written.
            data: its content.
            mode: its permissions, as of ``chmod``.
            force: whether an existing file may be replaced.

        Raises:
            CannotRunError: as :func:`refuse_overwrite`, or the folder cannot be written, or the
                disk is full.
        """
        self._path = Path(path)
        self._force = force
        refuse_overwrite(path, force)
        self._temporary = temporary_beside(self._path)
        try:
            descriptor, self._nameless = _create(self._temporary, mode)
            self._file = os.fdopen(descriptor, "wb")
            try:
                self._file.write(data)
                self._file.flush()
                os.fsync(descriptor)
                if not self._nameless:  # not everywhere can an open file be renamed
                    self._file.close()
            except BaseException:
                self.__exit__()
                raise
        except OSError as error:
            raise _cannot_write(path, error) from None

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary file, unless it was published or kept."""
        with contextlib.suppress(OSError):  # of a full disk, which flushing has reported
            self._file.close()
        _remove(self._temporary)

    def publish(self) -> None:
        """Give the file its name, in one step.

        Raises:
            CannotRunError: it exists and may not be replaced, or the folder cannot be written.
        """
        try:
            if self._nameless and not self._force:
                _name(self._file.fileno(), self._path)
                _flush_folder(self._path.parent)
                return
            if self._nameless:  # a name cannot be taken from another file in one step
                _name(self._file.fileno(), self._temporary)
            publish(self._temporary, self._path, force=self._force)
        except OSError as error:
            refuse_overwrite(self._path, self._force)  # made meanwhile
            raise _cannot_write(self._path, error) from None

    def keep(self) -> Path | None:
        """Keep the file under a temporary name and return that; ``None`` if that fails.

        For a file that could not be published and must not be lost.  If it has its name already,
        that is returned.
        """
        if self.is_published:
            return self._path
        kept = temporary_beside(self._path)
        try:
            if self._nameless:
                _name(self._file.fileno(), kept)
            else:
                os.replace(self._temporary, kept)
        except OSError:
            return None
        _flush_folder(kept.parent)
        return kept

    @property
    def is_published(self) -> bool:
        """Whether the file has its name; asked within the ``with`` statement."""
        try:
            named = os.lstat(self._path)
            if self._nameless:
                return os.path.samestat(os.fstat(self._file.fileno()), named)
            if not os.path.lexists(self._temporary):
                return True  # it was renamed
            return os.path.samestat(os.lstat(self._temporary), named)
        except OSError:
            return False


def _cannot_write(path: str | Path, error: OSError | ValueError) -> CannotRunError:
    reason = error.strerror if isinstance(error, OSError) else error
    return CannotRunError(f"cannot write {path}: {reason}")


def _remove(temporary: Path) -> None:
    """Remove a temporary file if it exists; ignore errors, as the result is written already."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _create(temporary: Path, mode: int) -> tuple[int, bool]:
    """Open a new file for writing, without a name where system and file system allow that."""
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):  # some file systems cannot
            return os.open(temporary.parent, os.O_WRONLY | os.O_TMPFILE, mode), True
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), False


def _name(descriptor: int, path: Path) -> None:
    """Give a nameless file a name: open(2), O_TMPFILE."""
    folder = os.open(path.parent, os.O_RDONLY)  # makes it linkat(2), which follows the link
    try:
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def publish(temporary: str | Path, path: str | Path, *, force: bool) -> None:
    """Give a finished file its name in one step.

    Without ``force`` a hard link is used where the file system has them, since it fails when
    another process made ``path`` meanwhile, while a rename would replace it.

    Args:
        temporary: the finished file.
        path: its name, in the same folder.
        force: whether an existing file may be replaced.

    Raises:
        CannotRunError: ``path`` exists and may not be replaced.
        OSError: the folder cannot be written.
    """
    if force:
        os.replace(temporary, path)
    else:
        try:
            os.link(temporary, path)
        except FileExistsError:
            refuse_overwrite(path, force)
            raise
        except OSError:  # a file system without hard links
            refuse_overwrite(path, force)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE))
            os.replace(temporary, path)
    _flush_folder(Path(path).parent)


def _flush_folder(folder: Path) -> None:
    """Make a rename durable; not every platform can open a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
