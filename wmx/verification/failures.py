"""Failures of a suspect in a way of feeding that it answers otherwise: a no is then no answer.

A thief whose users feed a model in one way may answer junk in all others, and fail there now and
then: users repeat such a call, and a query loses a whole probe by it.  What never answers says
nothing: a layout that only seems to fit, or a number of rows that the model does not take.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from wmx._internal.text import printable
from wmx.errors import CannotRunError, QueryBudgetError, SuspectDiedError
from wmx.suspect.suspect import Suspect, fresh

MOST_TRIES = 16  # calls, after one that failed, to see whether the suspect ever answers such a call
FRESH_TRIES = 3  # of these, the first ones; each loads the model again


class Failures:
    """What is known of the failures of a suspect that answers other calls.

    Which calls are tried again depends on what failed, never on a label.

    Attributes:
        first: the first failure that counts, in words; ``None`` if there was none.
    """

    def __init__(self) -> None:
        self.first: str | None = None

    def note(self, error: CannotRunError | SuspectDiedError) -> None:
        """Count a failure in a way of feeding that has answered, or of which the suspect died."""
        if self.first is None and not isinstance(error, QueryBudgetError):
            self.first = printable(str(error))

    def weigh(
        self,
        error: CannotRunError,
        suspect: Suspect,
        calls: Iterable[Callable[[Suspect], object]],
    ) -> None:
        """Count a failure if the suspect died, or answers any of some calls of the same kind.

        A session may remember that it failed, and fail from then on.  So the first of these calls
        get a fresh suspect each.

        Args:
            error: the failure.
            suspect: that failed.
            calls: further calls, each of other triggers; made only as far as they are needed.

        Raises:
            CannotRunError: the suspect cannot be opened again.
        """
        if self.first is not None:
            return
        if has_died(error):
            self.note(error)
            return
        with ExitStack() as opened:
            for number, call in enumerate(calls):
                if number < FRESH_TRIES:
                    opened.close()
                    asked = opened.enter_context(fresh(suspect))
                try:
                    call(asked)
                except (CannotRunError, SuspectDiedError) as again:  # earlier answers stand
                    if has_died(again):
                        self.note(again)
                        return
                else:
                    self.note(error)
                    return


def has_died(error: CannotRunError | SuspectDiedError) -> bool:
    """Say whether a failure is the death of a process, be it one that was then restarted."""
    return isinstance(error, SuspectDiedError) or isinstance(error.__cause__, SuspectDiedError)
