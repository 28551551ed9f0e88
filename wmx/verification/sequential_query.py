"""BatchQuery trigger by trigger, so that each answer is given before the next trigger is seen.

So a suspect is asked whose answers go into an evidence, are held against one, or cost money.  What
was answered to the first m triggers then hangs on these alone: nothing of a later trigger can be in
it, and the bits may be looked at, and the asking ended, after any of them (docs/statistics.md).
Where several rows go into one call, these are the triggers up to the present one, in whole batches.

Which ways go on never hangs on what they have earned: a server that remembers would learn from it
about labels of triggers that it is asked again in another way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from wmx.errors import MORE_QUERIES_HINT, CannotRunError, QueryBudgetError
from wmx.statistics.mixture import (
    ALONE,
    NO_SHIFT,
    OTHER_ROWS,
    SHIFTS,
    TOGETHER,
    Mixture,
    Probe,
    rows_of_variations,
    shifted,
)
from wmx.statistics.predictions import Predictions
from wmx.suspect.inputs import Feeding
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.query import Enough, Query

MOST_ROWS_OF_A_REQUEST = 32
MOST_COLUMNS = 4096  # of all ways in which a call is read, or K


@dataclass(frozen=True)
class Variant:
    """A feeding, with the shift, the scaling and the number of rows in which inputs are fed."""

    feeding: Feeding
    rows: int = ALONE
    shift: tuple[int, int] = NO_SHIFT
    scaling: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether inputs are fed as they are."""
        return self.shift == NO_SHIFT and not self.scaling

    @property
    def step(self) -> int:
        """Triggers in one call."""
        return self.rows or self.feeding.batch or 1

    @property
    def cost(self) -> int:
        """Inputs in one call: copies fill up a larger batch."""
        return max(self.step, self.feeding.batch or 1)

    def probe(self, output: str) -> Probe:
        """Return the way that reads ``output``."""
        return Probe(self.feeding.name, output, self.shift, self.scaling, self.rows)

    def ask(
        self, suspect: Suspect, trigger_slice: TriggerSlice, end: int
    ) -> dict[Probe, Predictions]:
        """Give the triggers of one call, the last of which is the one before number ``end``.

        Raises:
            CannotRunError: as :meth:`Suspect.predictions`.
        """
        inputs: NDArray[Any] = trigger_slice.triggers[end - self.step : end]
        if self.shift != NO_SHIFT:
            inputs = shifted(inputs, *self.shift)
        given = suspect.predictions(
            self.feeding, inputs, trigger_slice.task, self.scaling or None, self.rows or None
        )
        return {self.probe(output): predictions for output, predictions in given.items()}


def query_sequentially(
    suspect: Suspect,
    variants: Sequence[Variant],
    trigger_slice: TriggerSlice,
    mixture: Mixture,
    enough: Enough,
) -> bool:
    """Give triggers one after the other, in all variants side by side, until it is enough.

    Variants that fail on their first call are left out, batches of other sizes whenever they fail:
    what they have answered by then stands.  Variations of ways that are not there as plain ones are
    not read.

    Args:
        suspect: what is asked; its ``queries_left`` are never exceeded.
        variants: how.
        trigger_slice: the triggers.
        mixture: what the answers are added to.
        enough: whether to stop; looked at after each trigger, once every variant has answered: how
            many plain ways share a part of the mixture does not change after that.

    Returns:
        whether as many could be asked as are needed, which is all of them or enough.

    Raises:
        CannotRunError: no variant works, or a plain one in the usual rows works no longer.
    """
    left = list(variants)
    failure: CannotRunError | None = None
    for end in range(1, len(trigger_slice) + 1):
        due = [variant for variant in left if end % variant.step == 0]
        queries = suspect.queries_left
        if queries is not None and queries < sum(variant.cost for variant in due):
            return False
        for variant in due:
            try:
                given = variant.ask(suspect, trigger_slice, end)
            except CannotRunError as error:
                if end == variant.step or not variant.is_plain:
                    failure = failure or error
                elif variant.rows not in OTHER_ROWS:
                    raise
                left.remove(variant)
            else:
                for probe, predictions in _narrow(given, trigger_slice.task.classes):
                    if _follow(mixture, probe, predictions, end - variant.step):
                        mixture.add({probe: predictions})
        if not left and failure is not None:
            raise failure
        begun = end >= max((variant.step for variant in left), default=1)
        if due and begun and enough(mixture):
            break
    return True


class SequentialQuery(Query):
    """Rounds in which a suspect is queried trigger by trigger.

    A file is opened anew for each round: its session may keep something of those before.

    Args:
        suspect: what is queried.
        trigger_slice: the triggers.
        enough: whether to stop, within a round too.

    Raises:
        CannotRunError: the suspect does not take such inputs.
    """

    def __init__(self, suspect: Suspect, trigger_slice: TriggerSlice, enough: Enough) -> None:
        super().__init__(suspect, trigger_slice)
        self._enough = enough
        self._costs = suspect.queries_left is not None
        self._is_spent = False
        self._rows: dict[Feeding, list[int]] = {one: [] for one in self._feedings}

    def rounds(self) -> Iterator[Callable[[], None]]:
        """Yield what may be done next, for as long as queries are left."""
        for query in super().rounds():
            if self._is_spent:
                return
            yield query

    def other_rows(self) -> Iterator[Callable[[], None]]:
        """Yield batches of other sizes: single rows were given already."""
        yield self.other_batches

    def plain(self) -> None:
        """Give the triggers as they are, one at a time.

        An API whose batch is fixed is given whole batches: copies of one input would cost as much.

        Raises:
            CannotRunError: no way of feeding it works, or one that did works no longer.
            QueryBudgetError: not one trigger may be asked.
        """
        variants = [
            Variant(one, TOGETHER if self._costs and (one.batch or 1) > 1 else ALONE)
            for one in self._feedings
        ]
        try:
            self._ask(variants)
        except CannotRunError:
            if self._costs or self.mixture.probes:
                raise
            self.other_batches()  # it may take no single row
            if not self.mixture.probes:
                raise
        if not self.mixture.probes:
            raise QueryBudgetError(
                f"{self._suspect.name} may be asked {self._suspect.queries_left} more inputs, and "
                f"{sum(variant.cost for variant in variants)} are needed for one trigger in every "
                "way of feeding it",
                hint=MORE_QUERIES_HINT,
            )

    def other_batches(self) -> None:
        """Give the first triggers in batches of other sizes, and all where that is another answer.

        Of a fixed batch there is one other size: all different, where single rows were given.
        """
        variants = []
        with fresh(self._suspect) as suspect:
            for feeding in self._feedings:
                most = MOST_ROWS_OF_A_REQUEST if self._costs else max(OTHER_ROWS)
                sizes = [rows for rows in OTHER_ROWS if rows <= most]
                if feeding.batch is not None:
                    sizes = [TOGETHER if ALONE in self._rows[feeding] else ALONE]
                variants += [
                    variant
                    for variant in (Variant(feeding, rows) for rows in sizes)
                    if variant.step <= len(self._trigger_slice) and self._is_other(suspect, variant)
                ]
        if variants:
            self._ask(variants)

    def other_scalings(self) -> None:
        """Give the triggers in every other usual scaling of pixels and features."""
        self._ask(
            [
                Variant(feeding, rows, scaling=scaling)
                for feeding, known in self._rows.items()
                for rows in rows_of_variations(known)
                for scaling in feeding.scalings[1:]
            ]
        )

    def shifted(self) -> None:
        """Give the triggers moved by a few pixels."""
        self._ask(
            [
                Variant(feeding, rows, shift)
                for feeding, known in self._rows.items()
                for rows in rows_of_variations(known)
                for shift in SHIFTS
            ]
        )

    def _ask(self, variants: Sequence[Variant]) -> None:
        """Give the triggers in all variants to a suspect that was asked nothing before."""
        if not variants:
            return
        with fresh(self._suspect) as suspect:
            self._is_spent |= not query_sequentially(
                suspect, variants, self._trigger_slice, self.mixture, self._enough
            )
        self.budget_ended |= self._is_spent
        found = {(probe.layout, probe.rows) for probe in self.mixture.probes}
        for variant in variants:
            known = self._rows[variant.feeding]
            if variant.rows not in known and (variant.feeding.name, variant.rows) in found:
                known.append(variant.rows)

    def _is_other(self, suspect: Suspect, variant: Variant) -> bool:
        """Say whether a variant answers the first triggers as the feeding did in no other rows.

        They are as many as fill the larger of both batches, so that each place in it is seen.
        """
        known = self._rows[variant.feeding]
        steps = [Variant(variant.feeding, rows).step for rows in known]
        calls = -(-max(steps, default=1) // variant.step)
        queries = suspect.queries_left
        if queries is not None and queries < calls * variant.cost:
            self.budget_ended = True
            return False
        mixture = Mixture(self._trigger_slice)
        try:
            query_sequentially(
                suspect,
                [variant],
                self._trigger_slice.first(calls * variant.step),
                mixture,
                lambda _: False,
            )
        except CannotRunError:
            return False
        given = mixture.predictions
        return not any(
            all(
                self._is_known(replace(probe, rows=rows), predictions)
                for probe, predictions in given.items()
            )
            for rows in known
        )

    def _is_known(self, probe: Probe, predictions: Predictions) -> bool:
        if self.mixture.count(probe) < len(predictions):
            return False
        known = self.mixture.predictions_of(probe)[: len(predictions)]
        return not predictions.differ_from(known, self._trigger_slice.task.classes)


@contextmanager
def fresh(suspect: Suspect) -> Iterator[Suspect]:
    """Open a suspect as if it had never been asked, where that can be done.

    Raises:
        CannotRunError: it cannot be opened again.
    """
    again = suspect.reopened()
    try:
        yield again
    finally:
        if again is not suspect:
            again.close()


def _narrow(
    given: Mapping[Probe, Predictions], classes: int
) -> Iterator[tuple[Probe, Predictions]]:
    """Yield the answers that are bet on: of the narrowest ways where all together are too wide.

    What one row may hold would, of many rows, fill the memory.
    """
    left = max(MOST_COLUMNS, classes)
    kept = set()
    for probe in sorted(given, key=lambda probe: given[probe].columns):
        left -= given[probe].columns
        if left >= 0:
            kept.add(probe)
    yield from ((probe, predictions) for probe, predictions in given.items() if probe in kept)


def _follow(mixture: Mixture, probe: Probe, predictions: Predictions, before: int) -> bool:
    """Say whether these are the next answers of a way that has a share, after ``before`` others."""
    if before == 0:
        return probe.is_plain or probe.plain in mixture
    return mixture.count(probe) == before and mixture.takes(probe, predictions)
