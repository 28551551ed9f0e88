"""A variant: one way of feeding a suspect, without a way of reading it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, NO_SHIFT, Probe, shifted
from wmx.suspect.feeding import Feeding
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.failures import MOST_TRIES


@dataclass(frozen=True)
class Variant:
    """A feeding, with the shift, the scaling and the number of rows by which inputs are fed.

    ``view`` is the name of the view that is fed, empty for the file as it is.
    """

    feeding: Feeding
    rows: int = ALONE
    shift: tuple[int, int] = NO_SHIFT
    scaling: str = ""
    view: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether inputs are fed without shift, in the scaling that fits."""
        return self.shift == NO_SHIFT and not self.scaling

    @property
    def step(self) -> int:
        """Number of triggers in one call."""
        return self.rows or self.feeding.batch or 1

    @property
    def cost(self) -> int:
        """Number of inputs in one call: copies fill up a larger batch."""
        return max(self.step, self.feeding.batch or 1)

    def probe(self, output: str) -> Probe:
        """Return the probe that reads ``output``."""
        return Probe(self.feeding.name, output, self.shift, self.scaling, self.rows, self.view)

    def ask(
        self, suspect: Suspect, trigger_slice: TriggerSlice, end: int
    ) -> dict[Probe, Predictions]:
        """Send the triggers of one call and return the predictions.

        Args:
            suspect: what is queried.
            trigger_slice: the triggers.
            end: index in the slice after the last trigger of the call.

        Raises:
            CannotRunError, SuspectDiedError: as :meth:`Suspect.predictions`.
        """
        inputs: NDArray[Any] = trigger_slice.triggers[end - self.step : end]
        if self.shift != NO_SHIFT:
            inputs = shifted(inputs, *self.shift)
        given = suspect.predictions(
            self.feeding, inputs, trigger_slice.task, self.scaling or None, self.rows or None
        )
        return {self.probe(output): predictions for output, predictions in given.items()}


def further_calls(
    suspect: Suspect, variant: Variant, trigger_slice: TriggerSlice
) -> Iterator[Callable[[Suspect], object]]:
    """Yield the calls of a variant after its first one, as many as are tried.

    There are none where inputs are counted: they would cost queries that may give a yes.  They are
    made once all predictions of a round are known, as they send later triggers than these.

    Args:
        suspect: what is queried.
        variant: whose first call failed.
        trigger_slice: the triggers.
    """
    if suspect.queries_left is not None:
        return
    step = variant.step
    last = step * (1 + MOST_TRIES)
    for end in range(2 * step, min(last, len(trigger_slice)) + 1, step):
        yield partial(variant.ask, trigger_slice=trigger_slice, end=end)
