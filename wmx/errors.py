"""The errors wmx raises, each with the exit code the command line gives it.

Every error says what was found and what was expected; ``hint`` says what to do on the command line,
and the note under a traceback says what to do in Python.
"""

MORE_QUERIES_HINT = "allow more with --max-queries, or name the one claim that is meant"
NEWER_HINT = (
    "a newer wmx may read it: update the checkout that it was installed from, and install it again"
)
NAME_CLAIM_HINT = "name the one claim that is meant with --claim"


class WmxError(Exception):
    """Base of every error a user of wmx may see."""

    exit_code = 4

    def __init__(self, message: str, hint: str | None = None, in_python: str | None = None) -> None:
        """Make an error.

        Args:
            message: what was found, and what was expected.
            hint: what to do.
            in_python: what to do in Python, where ``hint`` names options of the command line.
        """
        super().__init__(message)
        self.hint = hint
        note = in_python or hint
        if note is not None:
            self.add_note(f"hint: {note}")  # a traceback shows it


class UsageError(WmxError):
    """An argument is wrong: a value out of range, options that contradict each other."""

    exit_code = 2


class IntegrityError(WmxError):
    """A claim, key or evidence is broken or does not belong together.

    Signature, commitment, digest and passphrase failures are of this kind.  It is kept apart from
    :class:`CannotRunError` so that "tampered with" never looks like "file not found".
    """

    exit_code = 3


class CannotRunError(WmxError):
    """The work could not be done: a file is missing or unreadable, a model cannot be run."""

    exit_code = 4


class QueryBudgetError(CannotRunError):
    """An API may be asked no more inputs, and was asked too few: nothing is known of its model."""


class SuspectDiedError(WmxError):
    """The process that ran a suspect crashed, hung, blew a limit or broke the rules.

    No kind of :class:`CannotRunError`, which is also how a model says that it cannot be fed in one
    way, whereupon others are tried: here there is nobody left to ask, and no verdict on half of
    the answers.  A file that dies of several rows in a call is asked once more, by single rows.
    """

    exit_code = 4


class LimitError(WmxError):
    """What hangs on a stranger's files took, or would take, more time or memory than its limit.

    No kind of :class:`CannotRunError`, for the same reason: there is nothing left to try it with.
    """

    exit_code = 4


class StoppedError(WmxError):
    """The user interrupted a command."""

    exit_code = 130


def install_hint(extra: str) -> str:
    """Return how an extra is installed: from a checkout, as an index's ``wmx`` is a stranger's.

    Args:
        extra: one of ``[project.optional-dependencies]``.
    """
    command = f'pip install -c constraints.txt ".[{extra}]"'
    return f"install the extra {extra} in a checkout of wmx: {command}"


class MissingExtraError(CannotRunError):
    """An optional dependency is not installed.

    Attributes:
        package: what is missing.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, and this needs it",
            hint=install_hint(extra),
        )
        self.package = package
