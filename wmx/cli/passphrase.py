"""Where a passphrase comes from: a file or the terminal, as bytes in whatever encoding.

Never from an argument: other users of the machine can read those.
"""

import os
import sys

from wmx._internal.budget import paused
from wmx._internal.files import read_bytes
from wmx.errors import CannotRunError

PASSPHRASE_VARIABLE = "WMX_PASSPHRASE_FILE"  # noqa: S105 - a name, no secret
MAX_PASSPHRASE_BYTES = 4096


def stored_passphrase() -> bytes | None:
    """Return the first line of the file that ``WMX_PASSPHRASE_FILE`` names, if it is set.

    Raises:
        CannotRunError: the file cannot be read, or its first line is empty.
    """
    path = os.environ.get(PASSPHRASE_VARIABLE)
    if not path:
        return None
    lines = read_bytes(path, "passphrase file", MAX_PASSPHRASE_BYTES).splitlines()
    if not lines or not lines[0]:
        raise CannotRunError(f"the passphrase file {path} is empty")
    return lines[0]


def typed_passphrase(prompt: str) -> bytes:
    """Ask for a passphrase on the terminal, without showing what is typed.

    The bytes are returned as typed: ``getpass`` would decode them, and fail where they are not
    text.
    """
    if sys.platform == "win32":  # where the console gives text
        import getpass

        with paused():
            return os.fsencode(getpass.getpass(prompt))
    import termios
    import tty

    shown, hidden = termios.tcgetattr(sys.stdin), termios.tcgetattr(sys.stdin)
    hidden[tty.LFLAG] &= ~termios.ECHO
    try:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, hidden)
        print(prompt, end="", file=sys.stderr, flush=True)  # noqa: T201 - stdout is for the answer
        with paused():
            return sys.stdin.buffer.readline().removesuffix(b"\n")
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, shown)
        print(file=sys.stderr)  # noqa: T201 - the line end that was not shown
