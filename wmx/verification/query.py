"""Querying a suspect in rounds, from plain probes to far-fetched ones, until the bits suffice."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeAlias, TypeVar

from wmx._internal.narrowest import narrowest
from wmx.errors import CannotRunError
from wmx.statistics.mixture import Mixture
from wmx.statistics.predictions import Predictions
from wmx.suspect.suspect import Suspect
from wmx.suspect.views.opened import UnseenViewError
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.failures import Failures

MOST_COLUMNS = 4096  # of all probes that read one call of one input, or K
MOST_IN_VIEWS = 128  # triggers to send to each view

Enough: TypeAlias = Callable[[Mixture], bool]
Key = TypeVar("Key")


class Query(ABC):
    """The rounds in which a suspect is queried with triggers, and what its predictions are worth.

    Which probes a round adds depends on what the suspect predicts, never on a label.

    Args:
        suspect: what is queried.
        trigger_slice: the triggers and their labels.

    Attributes:
        mixture: all predictions so far, and what they are worth.
        budget_ended: whether something was left out because the query budget ended.
        failures: of the suspect, in ways of feeding that it answers otherwise.
        unseen_views: number of views that were not looked at, or not to the end; 1 if the suspect
            has some and cannot be looked into at all.

    Raises:
        CannotRunError: the suspect does not take such inputs.
    """

    def __init__(self, suspect: Suspect, trigger_slice: TriggerSlice) -> None:
        self.mixture = Mixture(trigger_slice)
        self.budget_ended = False
        self.unseen_views = 0
        self.failures = Failures(suspect)
        self._suspect = suspect
        self._trigger_slice = trigger_slice
        self._feedings = suspect.feedings(trigger_slice.task)

    def until(self, enough: Enough) -> bool:
        """Query round by round until ``enough`` says so; return whether it did.

        Raises:
            CannotRunError: the suspect cannot be queried, or fails on its inputs.
            SuspectDiedError: the process that ran it is gone.
        """
        for query in self.rounds():
            query()
            if enough(self.mixture):
                return True
        return False

    @property
    def count(self) -> int:
        """Number of triggers that were sent unchanged."""
        return max(self.mixture.count(probe) for probe in self.mixture.probes if probe.is_plain)

    def rounds(self) -> Iterator[Callable[[], None]]:
        """Yield the rounds; code after a ``yield`` runs once that round is over."""
        yield self.plain
        yield from self.other_rows()
        yield self.other_scalings
        if self._trigger_slice.task.kind == "image":
            yield self.shifted
        yield from self.views()

    def views(self) -> Iterator[Callable[[], None]]:
        """Yield a round for each view of the suspect, whose number is known before the first."""
        try:
            views = self._suspect.views()
        except UnseenViewError:
            self.unseen_views += 1
            return
        self.mixture.views = len(views)
        for name in views:
            yield partial(self._view, name)

    def _view(self, name: str) -> None:
        try:
            self.view(name)
        except UnseenViewError:
            self.unseen_views += 1
        except CannotRunError:
            pass  # most graphs do not run in each view

    @abstractmethod
    def view(self, name: str) -> None:
        """Send the first triggers unchanged and one at a time to a view.

        Raises:
            UnseenViewError: it was not looked at, or not to the end.
            CannotRunError: its graph does not run.
        """

    @abstractmethod
    def plain(self) -> None:
        """Send the triggers unchanged."""

    @abstractmethod
    def other_rows(self) -> Iterator[Callable[[], None]]:
        """Yield the rounds with another number of rows per call."""

    @abstractmethod
    def other_scalings(self) -> None:
        """Send the triggers in every other usual scaling of pixels and features."""

    @abstractmethod
    def shifted(self) -> None:
        """Send the triggers shifted by a few pixels."""


def narrow(given: Mapping[Key, Predictions], classes: int) -> dict[Key, Predictions]:
    """Return the predictions that are bet on: the narrowest if all are too wide.

    What is allowed for one row would fill the memory for many rows.

    Args:
        given: of one call, by probe or output.
        classes: K of the task.
    """
    columns = {key: predictions.columns for key, predictions in given.items()}
    kept = narrowest(columns, max(MOST_COLUMNS, classes))
    return {key: predictions for key, predictions in given.items() if key in kept}
