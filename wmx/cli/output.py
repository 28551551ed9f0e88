"""What the commands print: on stdout a text or one JSON object, on stderr errors and warnings."""

import json
import sys
from math import floor
from typing import TYPE_CHECKING, Any

from wmx._internal.text import printable
from wmx.errors import WmxError

if TYPE_CHECKING:
    from wmx.verification.verdict import Verdict

JSON_FORMAT = 1
NOT_VERIFIED = 1  # the exit code
MOST_SAID = 4000  # characters of an error, which may repeat a stranger's field


def answer(
    command: str, text: str, fields: dict[str, Any], *, as_json: bool, exit_code: int = 0
) -> None:
    """Print the answer of a command to stdout.

    Args:
        command: its name.
        text: for people; its lines are made safe to print.
        fields: for programs; with ``wmx_json`` (the version of this format), ``command`` and
            ``exit_code`` added they are the one object that ``--json`` prints.
        as_json: print ``fields`` instead of ``text``.
        exit_code: with which the command will exit.
    """
    if as_json:
        text = json.dumps(
            {"wmx_json": JSON_FORMAT, "command": command, "exit_code": exit_code, **fields},
            indent=2,
        )
    else:
        text = "\n".join(printable(line, None) for line in text.split("\n"))
    print(text)  # noqa: T201 - the answer


def tenths(bits: float) -> float:
    """Return bits rounded down to a tenth: no more digits are ever printed.

    The author of a suspect can choose its predictions so that further digits would spell labels,
    ten of them in one number (docs/forgeries.md, "What a published verdict gives away").
    """
    return floor(10.0 * bits) / 10.0


def decision_fields(verdict: "Verdict") -> dict[str, Any]:
    """Return, for programs, whether a verdict is positive, and its numbers."""
    return {
        "verified": verdict.verified,
        "bits": tenths(verdict.bits),
        "required_bits": verdict.required_bits,
        "hits": verdict.hits,
        "n": verdict.n,
    }


def print_error(command: str, error: WmxError, *, as_json: bool) -> int:
    """Print an error to stderr and return its exit code.

    Args:
        command: its name.
        error: what went wrong.
        as_json: print it as an object on stdout too.
    """
    message = printable(str(error), MOST_SAID)
    print(f"wmx: error: {message}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"wmx: hint: {printable(error.hint, MOST_SAID)}", file=sys.stderr)  # noqa: T201
    if as_json:
        answer(command, "", error_fields(error), as_json=True, exit_code=error.exit_code)
    return error.exit_code


def error_fields(error: WmxError) -> dict[str, Any]:
    """Return an error for programs."""
    return {"error": {"message": printable(str(error), MOST_SAID), "hint": error.hint}}


def warn(message: str) -> None:
    """Print a warning to stderr."""
    print(f"wmx: warning: {printable(message, MOST_SAID)}", file=sys.stderr)  # noqa: T201


def warn_of_missing_filter() -> None:
    """Warn on stderr that a model runs without the sandbox that Linux offers."""
    warn(
        "on this system the model's process can reach the network, other processes and your files; "
        "run a stranger's model in a virtual machine, or in a container on Linux"
    )


def table(rows: dict[str, str]) -> str:
    """Return ``name  value`` lines with the values in one column, made safe to print."""
    width = max(map(len, rows))
    return "\n".join(
        f"  {printable(name, None):<{width}}  {printable(value, None)}"
        for name, value in rows.items()
    )
