"""Standard streams whose errors cannot end a command: encodings, full disks and closed pipes.

When a command prints, its work is done: there is a verdict, and triggers may be spent.  Its exit
code must not change because the console cannot show a letter.
"""

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

REPLACING = "backslashreplace"


class Steadfast(io.RawIOBase):
    """A raw stream that passes bytes on, records the first error, and drops all bytes after it.

    Attributes:
        error: the first error; ``None`` if there was none.
    """

    def __init__(self, inner: Any) -> None:
        """Write to ``inner``, a raw stream."""
        self._inner = inner
        self.error: OSError | None = None

    def writable(self) -> bool:
        """Return ``True``."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the inner stream."""
        return int(self._inner.fileno())

    def isatty(self) -> bool:
        """Say whether the inner stream is a terminal."""
        return bool(self._inner.isatty())

    def write(self, data: "ReadableBuffer") -> int:
        """Write some bytes, at least one, and return how many."""
        size = memoryview(data).nbytes
        try:
            while self.error is None and size:
                written = self._inner.write(data)
                if written:
                    return int(written)
                select.select([], [self._inner], [])  # it does not wait by itself
        except OSError as error:
            self.error = error
        return size


def steady_streams() -> None:
    """Replace the standard streams by ones that raise no errors.

    A stream that was closed before the command began becomes ``/dev/null``; else its descriptor
    would be given to the next file that is opened, and what a library prints would go there.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = getattr(sys, name)
        if stream is None:
            with suppress(OSError):
                _occupy(number)
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _steady(stream))


def warn_of_loss(exit_code: int) -> None:
    """Warn on stderr if not all of the answer was written to stdout, unless its reader is gone."""
    error = _error_of(sys.stdout)
    if error is not None and error.errno != errno.EPIPE:
        print(  # noqa: T201
            f"wmx: warning: the answer could not be printed in full: {error.strerror}; "
            f"the command itself ended with exit code {exit_code}",
            file=sys.stderr,
        )


def _steady(stream: io.TextIOWrapper) -> TextIO:
    with suppress(OSError):
        stream.flush()
    raw = getattr(stream.buffer, "raw", stream.buffer)
    steady = io.TextIOWrapper(
        io.BufferedWriter(Steadfast(raw)),
        encoding=stream.encoding,
        errors=REPLACING,
        line_buffering=stream.line_buffering or stream.write_through,
    )
    _kept.append(stream)  # it would close its descriptor when it is collected
    return steady


def _occupy(number: int) -> None:
    """Open the null device under the number of a closed descriptor."""
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


def _error_of(stream: Any) -> OSError | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, Steadfast) else None


_kept: list[io.TextIOWrapper] = []
