"""Querying a suspect in rounds, from plain probes to far-fetched ones, until the bits suffice."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeAlias

from wmx.statistics.mixture import Mixture
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.failures import Failures

Enough: TypeAlias = Callable[[Mixture], bool]


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

    Raises:
        CannotRunError: the suspect does not take such inputs.
    """

    def __init__(self, suspect: Suspect, trigger_slice: TriggerSlice) -> None:
        self.mixture = Mixture(trigger_slice)
        self.budget_ended = False
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
