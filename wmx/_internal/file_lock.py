"""One process at a time: a lock that the system lets go when its holder dies."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wmx._internal.files import SECRET_MODE

if sys.platform == "win32":
    import msvcrt
    import time
else:
    import fcntl


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, which is made if need be and stays; wait for it.

    It is never deleted: who waits on a file that is gone waits on another lock than who comes next.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, SECRET_MODE)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(0.05)
            else:
                return
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
