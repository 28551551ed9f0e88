"""Failures of a suspect in a way of feeding that it answers otherwise: a no is then no answer.

A thief whose users feed a model in one way may answer junk in all others, and fail there now and
then: users repeat such a call, and a query loses a whole probe by it.  What never answers says
nothing: a layout that only seems to fit, or a number of rows that the model does not take.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TypeAlias

from wmx._internal.text import printable
from wmx.errors import CannotRunError, QueryBudgetError, SuspectDiedError
from wmx.suspect.suspect import Suspect, fresh

MOST_TRIES = 16  # calls, after one that failed, to see whether the suspect ever answers such a call
FRESH_TRIES = 2  # of these, the first ones; each loads the model again
Calls: TypeAlias = "Iterable[Callable[[Suspect], object]]"


class Failures:
    """What is known of the failures of a suspect that answers other calls.

    Which calls are tried again depends on what failed, never on a label.

    Attributes:
        first: the first failure that counts, in words; ``None`` if there was none.
    """

    def __init__(self, suspect: Suspect) -> None:
        self.first: str | None = None
        self._suspect = suspect
        # as words: an error holds the frames that raised it, and so the inputs of that call
        self._unweighed: list[tuple[str, Calls]] = []

    def note(self, error: CannotRunError | SuspectDiedError) -> None:
        """Count a failure in a way of feeding that has answered, or of which the suspect died."""
        if not isinstance(error, QueryBudgetError):
            self._note(str(error))

    def _note(self, words: str) -> None:
        if self.first is None:
            self.first = printable(words)

    def add(self, error: CannotRunError, calls: Calls) -> None:
        """Keep a failure that counts if the suspect died, or ever answers calls of its kind.

        Args:
            error: the failure.
            calls: further calls, each of other triggers.
        """
        if has_died(error):
            self.note(error)
        elif self.first is None and not isinstance(error, QueryBudgetError):
            self._unweighed.append((str(error), calls))

    def weigh(self) -> None:
        """Make further calls for the failures that were added, as far as they are needed.

        They cost time that a yes may need, so this comes after all other queries.  A session may
        remember that it failed, and fail from then on: the first calls of each kind get a fresh
        suspect each.

        Raises:
            CannotRunError: the suspect cannot be opened again.
            LimitError: they took more time than is left.
        """
        for words, calls in self._unweighed:
            if self.first is not None:
                return
            with ExitStack() as opened:
                self._weigh(words, calls, opened)

    def _weigh(self, words: str, calls: Calls, opened: ExitStack) -> None:
        for number, call in enumerate(calls):
            if number < FRESH_TRIES:
                opened.close()
                suspect = opened.enter_context(fresh(self._suspect))
            try:
                call(suspect)
            except (CannotRunError, SuspectDiedError) as again:
                if has_died(again):
                    self.note(again)
                    return
            else:
                self._note(words)
                return


def has_died(error: CannotRunError | SuspectDiedError) -> bool:
    """Say whether a failure is the death of a process, be it one that was then restarted."""
    return isinstance(error, SuspectDiedError) or isinstance(error.__cause__, SuspectDiedError)
