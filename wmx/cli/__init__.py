"""The command line: one file per command, and :mod:`wmx.cli.app`, which puts them together.

Exit codes: 0 verified or done; 1 ran, not verified; 2 wrong usage; 3 a claim, key or evidence is
broken; 4 could not run.  stdout holds only the answer; errors go to stderr as ``wmx: error:`` and
``wmx: hint:``, warnings as ``wmx: warning:``.  The exit code stays the same if the answer cannot be
printed (:mod:`wmx.cli.streams`), or if the HTML report cannot be written after an evidence was.
"""

import gc
import os
import sys
from collections.abc import Sequence

from wmx._internal.lazy import names_from

TYPE_CHECKING = False  # as typing's, which takes long to import

if TYPE_CHECKING:
    from wmx.cli.app import COMMANDS, build_app, run

__all__ = ["COMMANDS", "build_app", "command_in", "main", "run"]

TRAINING = ("demo", "embed", "attack")  # in this process

# imported when they are asked for: the process of a suspect is started first
__getattr__ = names_from(
    __name__, {"COMMANDS": "wmx.cli.app", "build_app": "wmx.cli.app", "run": "wmx.cli.app"}
)


def main() -> None:
    """Entry point of the ``wmx`` script.

    A short command makes many objects and hardly any garbage: running it without the garbage
    collector saves a seventh of the time of ``wmx verify``.  Commands that train turn it on again.
    The others do not need the threads that NumPy's OpenBLAS starts when it is loaded and joins at
    exit.  The process that runs a suspect takes as long to import its libraries as this one does,
    so it is started before anything else.
    """
    gc.disable()
    arguments = sys.argv[1:]
    command = command_in(arguments)
    if command not in TRAINING:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from wmx.cli.streams import steady_streams, warn_of_loss

    steady_streams()  # before a pipe is opened, which would take the number of a closed stream
    if command == "verify" and any(word.endswith(".onnx") for word in arguments):
        from wmx.suspect.sandbox.process import start_ahead

        start_ahead()

    from wmx.cli.app import run

    exit_code = run(arguments)
    sys.stdout.flush()
    warn_of_loss(exit_code)
    gc.freeze()
    sys.exit(exit_code)


def command_in(arguments: Sequence[str]) -> str:
    """Return the command that ``arguments`` name; an empty string if they name none."""
    return next((word for word in arguments if not word.startswith("-")), "")
