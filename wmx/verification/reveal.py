"""Choosing what an evidence discloses: the fewest triggers, and one probe's answers to them.

The answers are asked for anew, in a session that is given the disclosed triggers and no others, one
after the other: a hostile file may hide what it has seen in the low bits of a right answer, be it
other rows of the batch or, by way of random operators, earlier calls.  So it can hide nothing but
what is disclosed anyway.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from wmx.errors import CannotRunError, SuspectDiedError, UsageError
from wmx.statistics.mixture import ALONE, OTHER_ROWS, TOGETHER, Mixture, Probe, penalty_of
from wmx.statistics.predictions import Predictions
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.batch_query import BatchQuery
from wmx.verification.codec import MAX_OPENINGS
from wmx.verification.sequential_query import Variant, fresh, query_sequentially
from wmx.watermark import Watermark

Reveal: TypeAlias = Literal["enough", "all"] | int

SPENT_HINT = "a trusted timestamp halves the bits that are needed; embed a new claim next time"
MARGIN_BITS = 0.01  # so that rounding on the checker's machine does not decide
MOST_WAYS_TRIED = 3


@dataclass(frozen=True)
class Choice:
    """Triggers to disclose, and the answers to them by which a third party will count.

    Attributes:
        trigger_slice: the triggers.
        probe: how they were given and read.
        predictions: to the triggers, or to the first of them where whole batches were given.
        probes: how many plain ways there are with as many rows in a call.
    """

    trigger_slice: TriggerSlice
    probe: Probe
    predictions: Predictions
    probes: int


def choose(
    suspect: Suspect,
    watermark: Watermark,
    start: int,
    *,
    required_bits: float,
    claims_tried: int = 1,
    reveal: Reveal = "enough",
) -> Choice:
    """Choose triggers from ``start`` on, and the probe by which the fewest of them suffice.

    Args:
        suspect: what is asked.
        watermark: the claim and its triggers.
        start: index of the first trigger to disclose.
        required_bits: what the disclosed triggers have to give, all prices paid.
        claims_tried: how many claims were held against the suspect.
        reveal: ``"enough"``, ``"all"`` that are left, or a number of triggers.

    Raises:
        UsageError: ``reveal`` is out of range.
        CannotRunError: the triggers that are left do not suffice, or the suspect cannot be asked.
        SuspectDiedError: the process that ran the suspect is gone.
    """
    trigger_slice = watermark.trigger_slice(start).first(MAX_OPENINGS)
    if not len(trigger_slice):
        raise CannotRunError("every trigger of this claim was disclosed already", hint=SPENT_HINT)
    if isinstance(reveal, int):
        if not 1 <= reveal <= len(trigger_slice):
            raise UsageError(f"--reveal is {reveal}, expected 1 to {len(trigger_slice)} triggers")
        trigger_slice = trigger_slice.first(reveal)
    penalty = penalty_of(
        claims_tried, starts=watermark.claim.n, overrides=suspect.overrides.penalty
    )
    choosing = _Choosing(
        suspect, trigger_slice, required_bits + MARGIN_BITS + penalty, reveal == "enough"
    )
    choice = choosing.one_at_a_time() or choosing.by_the_best_probes()
    if choice is None:
        if choosing.failure is not None and choosing.most_bits < 0:
            raise choosing.failure
        raise CannotRunError(
            f"the {len(trigger_slice)} triggers from {start} give "
            f"{choosing.most_bits - penalty:.1f} bits after the {penalty:.1f} that "
            f"their choice costs, and {required_bits:g} are needed; nothing was disclosed",
            hint=SPENT_HINT if start else "ask for fewer bits with --min-bits",
        )
    return choice


class _Choosing:
    """Attempts to reach ``wanted`` bits by one way, each in a session of its own.

    Attributes:
        most_bits: that were reached, before any price.
        failure: what ended the first attempt that failed.
    """

    def __init__(
        self, suspect: Suspect, trigger_slice: TriggerSlice, wanted: float, stops_early: bool
    ) -> None:
        self.most_bits = float("-inf")
        self.failure: CannotRunError | SuspectDiedError | None = None
        self._suspect = suspect
        self._trigger_slice = trigger_slice
        self._wanted = wanted
        self._stops_early = stops_early
        self._feedings = {one.name: one for one in suspect.feedings(trigger_slice.task)}
        self._tried: set[tuple[int, tuple[int, int], str]] = set()

    def one_at_a_time(self) -> Choice | None:
        """Give each trigger as it is and alone: all that an honest file needs."""
        return self._by(ALONE)

    def by_the_best_probes(self) -> Choice | None:
        """Try the ways in which the triggers give most evidence when they are asked together."""
        query = BatchQuery(self._suspect, self._trigger_slice)
        if not query.until(self._reached):
            return None
        best = sorted(query.mixture.probes, key=query.mixture.weighted, reverse=True)
        for probe in best[:MOST_WAYS_TRIED]:
            sizes = [rows for rows in reversed(OTHER_ROWS) if rows <= len(self._trigger_slice)]
            if self._feedings[probe.layout].batch is not None:
                sizes = [TOGETHER]
            for rows in sorted([ALONE, *sizes], key=lambda rows: rows != probe.rows):
                choice = self._by(rows, probe)
                if choice is not None:
                    return choice
        return None

    def _by(self, rows: int, probe: Probe | None = None) -> Choice | None:
        """Give the triggers in turn, as they are and as in ``probe``, until one way suffices."""
        variants = [Variant(feeding, rows) for feeding in self._feedings.values()]
        if probe is not None and not probe.is_plain:
            variants.append(Variant(self._feedings[probe.layout], rows, probe.shift, probe.scaling))
        key = (rows, variants[-1].shift, variants[-1].scaling)
        if key in self._tried:
            return None
        self._tried.add(key)
        mixture = Mixture(self._trigger_slice)
        try:
            with fresh(self._suspect) as again:
                query_sequentially(again, variants, self._trigger_slice, mixture, self._is_enough)
        except (CannotRunError, SuspectDiedError) as error:
            self.failure = self.failure or error
            return None
        if not mixture.probes or not self._suffices(mixture):
            return None
        best = mixture.best
        return Choice(
            trigger_slice=self._trigger_slice.first(mixture.count(best))
            if self._stops_early
            else self._trigger_slice,
            probe=best,
            predictions=mixture.predictions_of(best),
            probes=mixture.plain_probes(best.rows),
        )

    def _reached(self, mixture: Mixture) -> bool:
        self.most_bits = max(self.most_bits, mixture.bits)
        return mixture.bits >= self._wanted

    def _is_enough(self, mixture: Mixture) -> bool:
        return self._stops_early and self._suffices(mixture)

    def _suffices(self, mixture: Mixture) -> bool:
        bits = mixture.weighted(mixture.best)
        self.most_bits = max(self.most_bits, bits)
        return bits >= self._wanted
