"""Querying trigger by trigger, so that each prediction is made before the next trigger is sent.

Used where predictions go into an evidence, are compared with one, or cost money.  Predictions for
the first m triggers then depend only on these: nothing about later triggers can be in them, and the
query may stop after any trigger, by the bits so far (docs/statistics.md).  Where several rows go
into one call, they are the triggers up to the current one, in whole batches.

Which probes continue never depends on the bits that they have given: a server that remembers could
learn from it about the labels of triggers that it gets again by another probe.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from wmx.errors import MORE_QUERIES_HINT, CannotRunError, QueryBudgetError
from wmx.statistics.mixture import Mixture
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, OTHER_ROWS, SHIFTS, TOGETHER, Probe, rows_of_variations
from wmx.suspect.feeding import Feeding
from wmx.suspect.suspect import Suspect, fresh
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.failures import Failures
from wmx.verification.query import MOST_IN_VIEWS, Enough, Query, narrow
from wmx.verification.variant import Variant, further_calls

MOST_ROWS_OF_A_REQUEST = 32


def query_sequentially(
    suspect: Suspect,
    variants: Sequence[Variant],
    trigger_slice: TriggerSlice,
    mixture: Mixture,
    enough: Enough,
    failures: Failures | None = None,
) -> bool:
    """Send triggers one after the other, in all variants side by side, until it is enough.

    Variants that fail on their first call are left out, and batches of other sizes whenever they
    fail: their predictions so far are kept.  Variations without a plain probe are not read.

    Args:
        suspect: what is queried; its ``queries_left`` are never exceeded.
        variants: by which the triggers are fed.
        trigger_slice: the triggers.
        mixture: what the predictions are added to.
        enough: whether to stop; called after each trigger, once every variant has made a
            prediction: the number of plain probes does not change after that.
        failures: what failures of variants that answer other calls are added to; if ``None``, no
            further calls are made to find them.

    Returns:
        ``False`` if the query budget ended before all triggers were sent or it was enough.

    Raises:
        CannotRunError: no variant works, or a plain one with the usual rows stops working.
    """
    left = list(variants)
    failure: CannotRunError | None = None
    unanswered: dict[Variant, CannotRunError] = {}
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
                if end == variant.step:
                    unanswered[variant] = error
                elif failures is not None:
                    failures.note(error)
                left.remove(variant)
            else:
                kept = narrow(given, trigger_slice.task.classes)
                suspect.leave_out(probe.output for probe in given.keys() - kept.keys())
                for probe, predictions in kept.items():
                    if _follow(mixture, probe, predictions, end - variant.step):
                        mixture.add({probe: predictions})
                    else:
                        suspect.leave_out([probe.output])
        if not left and failure is not None:
            raise failure
        begun = end >= max((variant.step for variant in left), default=1)
        if due and begun and enough(mixture):
            return True
    if failures is not None:
        for variant, refusal in unanswered.items():
            failures.add(refusal, further_calls(suspect, variant, trigger_slice))
    return True


def query_view(
    suspect: Suspect, name: str, trigger_slice: TriggerSlice, mixture: Mixture, enough: Enough
) -> None:
    """Send triggers one after the other to a view, in a process of its own and in every feeding.

    Args:
        suspect: what is looked into.
        name: of the view.
        trigger_slice: the triggers.
        mixture: what the predictions are added to; it knows the number of views.
        enough: whether to stop.

    Raises:
        CannotRunError: its graph does not run.
        UnseenViewError: it was not looked at, or not to the end.
    """
    with closing(suspect.views(anew=True)[name]()) as view:
        variants = [Variant(one, ALONE, view=name) for one in view.feedings(trigger_slice.task)]
        query_sequentially(view, variants, trigger_slice, mixture, enough)


class SequentialQuery(Query):
    """Rounds in which a suspect is queried trigger by trigger.

    A file is opened again for each round: its session may keep state of earlier ones.

    Args:
        suspect: what is queried.
        trigger_slice: the triggers.
        enough: whether to stop, also within a round.

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
        """Yield the rounds, for as long as queries are left."""
        for query in super().rounds():
            if self._is_spent:
                return
            yield query

    def other_rows(self) -> Iterator[Callable[[], None]]:
        """Yield the round of batches of other sizes; single rows were sent already."""
        yield self.other_batches

    def plain(self) -> None:
        """Send the triggers unchanged, one at a time.

        An API with a fixed batch size gets whole batches: copies of one input would cost as much.

        Raises:
            CannotRunError: no feeding works, or one that did stops working.
            QueryBudgetError: the query budget does not allow a single trigger.
        """
        variants = [
            Variant(one, TOGETHER if self._costs and (one.batch or 1) > 1 else ALONE)
            for one in self._feedings
        ]
        try:
            self._ask(variants)
        except CannotRunError as error:
            if self._costs or self.mixture.probes:
                raise
            for variant in variants:
                self._add(error, variant)
            self.other_batches()  # it may take no single row
            if not self.mixture.probes:
                raise
        if not self.mixture.probes:
            raise QueryBudgetError(
                f"the query budget allows {self._suspect.queries_left} more inputs to "
                f"{self._suspect.reference.name}, and one trigger takes "
                f"{sum(variant.cost for variant in variants)}, one per way of feeding it",
                hint=MORE_QUERIES_HINT,
                in_python="allow more with RequestPolicy(max_queries=...)",
            )

    def other_batches(self) -> None:
        """Send the first triggers in batches of other sizes, and all if predictions then differ.

        A fixed batch has one other form: all rows different, where single rows were sent before.
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
        """Send the triggers in every other usual scaling of pixels and features."""
        self._ask(
            [
                Variant(feeding, rows, scaling=scaling)
                for feeding, known in self._rows.items()
                for rows in rows_of_variations(known)
                for scaling in feeding.scalings[1:]
            ]
        )

    def shifted(self) -> None:
        """Send the triggers shifted by a few pixels."""
        self._ask(
            [
                Variant(feeding, rows, shift)
                for feeding, known in self._rows.items()
                for rows in rows_of_variations(known)
                for shift in SHIFTS
            ]
        )

    def view(self, name: str) -> None:
        """Send the first triggers to a view, one at a time; as :meth:`Query.view`."""
        given = self._trigger_slice.first(MOST_IN_VIEWS)
        query_view(self._suspect, name, given, self.mixture, self._enough)

    def _ask(self, variants: Sequence[Variant]) -> None:
        """Send the triggers in all variants to a suspect without state of earlier queries."""
        if not variants:
            return
        with fresh(self._suspect) as suspect:
            self._is_spent |= not query_sequentially(
                suspect, variants, self._trigger_slice, self.mixture, self._enough, self.failures
            )
        self.budget_ended |= self._is_spent
        found = {(probe.layout, probe.rows) for probe in self.mixture.probes}
        for variant in variants:
            known = self._rows[variant.feeding]
            if variant.rows not in known and (variant.feeding.name, variant.rows) in found:
                known.append(variant.rows)

    def _is_other(self, suspect: Suspect, variant: Variant) -> bool:
        """Say whether a variant predicts the first triggers otherwise than with all known rows.

        Enough triggers to fill the larger of both batches, so that each position is tested.
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
                self.failures,
            )
        except CannotRunError as error:
            self._add(error, variant)
            return False
        given = mixture.predictions
        return not any(
            all(
                self._is_known(replace(probe, rows=rows), predictions)
                for probe, predictions in given.items()
            )
            for rows in known
        )

    def _add(self, error: CannotRunError, variant: Variant) -> None:
        self.failures.add(error, further_calls(self._suspect, variant, self._trigger_slice))

    def _is_known(self, probe: Probe, predictions: Predictions) -> bool:
        if self.mixture.count(probe) < len(predictions):
            return False
        known = self.mixture.predictions_of(probe)[: len(predictions)]
        return not predictions.differ_from(known, self._trigger_slice.task.classes)


def _follow(mixture: Mixture, probe: Probe, predictions: Predictions, before: int) -> bool:
    """Say whether these predictions follow the ``before`` earlier ones of a probe with a share."""
    if before == 0:
        return probe.is_plain or probe.plain in mixture
    return mixture.count(probe) == before and mixture.takes(probe, predictions)
