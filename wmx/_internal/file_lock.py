"""A lock file for one process at a time, which the system releases when its holder dies."""

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wmx._internal.budget import consult
from wmx._internal.writing import SECRET_MODE
from wmx.errors import CannotRunError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

WAIT_SECONDS = 60.0  # nobody holds a lock for longer than it takes to write a file
PAUSE_SECONDS = 0.05
# the error for a link: ELOOP, on FreeBSD EMLINK
LINKED = (errno.ELOOP, errno.EMLINK)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock file ``path`` and hold it; it is created if it does not exist.

    It is never deleted: else a process could wait on a deleted file while the next one locks a new
    one.  It may lie in a folder that came from a stranger, so links are not followed.

    Raises:
        CannotRunError: it is a link, not a regular file, or another user's; or another process has
            held it for :data:`WAIT_SECONDS`.
        LimitError: waiting takes longer than the budget has.
        OSError: it cannot be created or opened.
    """
    descriptor = _open(path)
    try:
        _wait(descriptor, path)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if path.is_symlink():  # for systems without O_NOFOLLOW
            raise _refused(path, "a link")
        descriptor = os.open(path, flags, SECRET_MODE)
    except OSError as error:
        if error.errno in LINKED:
            raise _refused(path, "a link") from None
        raise
    found = os.fstat(descriptor)
    reason = None
    if not stat.S_ISREG(found.st_mode):
        reason = "not a regular file"
    elif found.st_nlink > 1:
        reason = "a file with several names (hard links)"
    elif not _is_own(found, path):
        reason = "another user's"
    if reason is not None:
        os.close(descriptor)
        raise _refused(path, reason)
    return descriptor


def _is_own(found: os.stat_result, path: Path) -> bool:
    """Say whether a file belongs to the user, or to the owner of its folder.

    On some network file systems all files belong to one other user.
    """
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid in (os.geteuid(), path.parent.stat().st_uid)


def _refused(path: Path, what: str) -> CannotRunError:
    return CannotRunError(
        f"the lock file {path} is {what}, expected a regular file of your own",
        hint="remove it; wmx makes a new one",
    )


def _wait(descriptor: int, path: Path) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not _taken(descriptor):
        consult()
        if time.monotonic() > end:
            raise CannotRunError(
                f"another process has held the lock file {path} for {WAIT_SECONDS:g} seconds",
                hint="wait for that process or end it, then repeat the command; the lock is "
                "released when it ends, and the file may stay",
            )
        time.sleep(PAUSE_SECONDS)


def _taken(descriptor: int) -> bool:
    """Try to take the lock."""
    if sys.platform == "win32":
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
