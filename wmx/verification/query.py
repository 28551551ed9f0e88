"""Querying a suspect in rounds, from the plain probes to the far-fetched, until that is enough."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeAlias

from wmx.statistics.mixture import Mixture
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice

Enough: TypeAlias = Callable[[Mixture], bool]


class Query(ABC):
    """The rounds in which a suspect is queried with triggers, and what its predictions are worth.

    Which probes a round adds depends on what the suspect predicts, never on a label.

    Args:
        suspect: what is queried.
        trigger_slice: the triggers and their labels.

    Attributes:
        mixture: all predictions so far, and what they are worth.
        budget_ended: whether something was left out since a suspect may be asked no more.

    Raises:
        CannotRunError: the suspect does not take such inputs.
    """

    def __init__(self, suspect: Suspect, trigger_slice: TriggerSlice) -> None:
        self.mixture = Mixture(trigger_slice)
        self.budget_ended = False
        self._suspect = suspect
        self._trigger_slice = trigger_slice
        self._feedings = suspect.feedings(trigger_slice.task)

    def until(self, enough: Enough) -> bool:
        """Query round by round until that is enough; say whether it was.

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
        """How many triggers were given as they are."""
        return max(self.mixture.count(probe) for probe in self.mixture.probes if probe.is_plain)

    def rounds(self) -> Iterator[Callable[[], None]]:
        """Yield what may be done next: what is behind a ``yield`` knows how that went."""
        yield self.plain
        yield from self.other_rows()
        yield self.other_scalings
        if self._trigger_slice.task.kind == "image":
            yield self.shifted

    @abstractmethod
    def plain(self) -> None:
        """Give the triggers as they are."""

    @abstractmethod
    def other_rows(self) -> Iterator[Callable[[], None]]:
        """Yield the rounds in which another number of rows is given in a call."""

    @abstractmethod
    def other_scalings(self) -> None:
        """Give the triggers in every other usual scaling of pixels and features."""

    @abstractmethod
    def shifted(self) -> None:
        """Give the triggers moved by a few pixels."""
