"""Choosing what an evidence discloses: the fewest triggers, and one probe's predictions for them.

The predictions are made again, in a session that sees only the disclosed triggers, one after the
other: a hostile file may hide what it has seen in the low bits of a correct prediction, from other
rows of the batch or, with random operators, from earlier calls.  So it can leak only what is
disclosed anyway.

The choice of the probe could leak too, as a file may predict correctly for one of many.  So each
probe gets the triggers one after the other, and the one that needs the fewest is disclosed: which
one that is depends only on these triggers (docs/evidence.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Literal, TypeAlias, get_args

from wmx.errors import CannotRunError, SuspectDiedError, UsageError
from wmx.statistics.mixture import Mixture
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, NO_SHIFT, OTHER_ROWS, SHIFTS, TOGETHER, Probe
from wmx.suspect.suspect import Suspect, fresh
from wmx.suspect.views.opened import UnseenViewError
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.batch_query import MOST_SHIFTED, BatchQuery
from wmx.verification.codec import MAX_OPENINGS
from wmx.verification.query import MOST_IN_VIEWS
from wmx.verification.selection import Selection
from wmx.verification.sequential_query import query_sequentially, query_view
from wmx.verification.variant import Variant
from wmx.watermark import Watermark

Reveal: TypeAlias = Literal["enough", "all"] | int
REVEAL_WORDS = get_args(Literal["enough", "all"])

SPENT_HINT = "date the claim, which halves the required bits; mark the next model with a new claim"
MARGIN_BITS = 0.01  # so that rounding on the checker's machine does not decide


@dataclass(frozen=True)
class Choice:
    """Triggers to disclose, and the predictions that a third party will compute the bits from.

    Attributes:
        trigger_slice: the triggers.
        probe: by which they were fed and read.
        predictions: for the triggers, or for the first ones where only whole batches were sent.
        probes: number of plain probes with as many rows per call.
        selection: what claim and triggers were chosen from, and the suspect's overrides.
    """

    trigger_slice: TriggerSlice
    probe: Probe
    predictions: Predictions
    probes: int
    selection: Selection


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
        suspect: what is queried.
        watermark: the claim and its triggers.
        start: index of the first trigger to disclose.
        required_bits: what the disclosed triggers have to give after all penalties.
        claims_tried: number of claims tested on the suspect.
        reveal: ``"enough"``, ``"all"`` that are left, or a number of triggers.

    Raises:
        UsageError: ``reveal`` is out of range.
        CannotRunError: the triggers that are left do not suffice, or the suspect cannot be run.
        SuspectDiedError: the process that ran the suspect is gone.
    """
    trigger_slice = watermark.trigger_slice(start).first(MAX_OPENINGS)
    if not len(trigger_slice):
        raise CannotRunError("every trigger of this claim was disclosed already", hint=SPENT_HINT)
    if reveal not in REVEAL_WORDS:
        trigger_slice = trigger_slice.first(_number(reveal, len(trigger_slice)))
    selection = Selection(claims_tried, watermark.claim.n, suspect.overrides)
    penalty = selection.penalty
    wanted = required_bits + MARGIN_BITS + penalty
    choosing = _Choosing(suspect, trigger_slice, selection, wanted, reveal == "enough")
    choice = choosing.one_at_a_time() or choosing.by_other_probes()
    if choice is None:
        if choosing.failure is not None and choosing.most_bits < 0:
            raise choosing.failure
        raise CannotRunError(
            f"the {len(trigger_slice)} triggers from {start} give "
            f"{choosing.most_bits - penalty:.1f} bits after the penalty of {penalty:.1f}, and "
            f"{required_bits:g} are required; nothing was disclosed",
            hint=_more(reveal, watermark.claim.n - start, start),
        )
    return choice


def _more(reveal: Reveal, left: int, start: int) -> str:
    """Return what to do where the triggers to be disclosed do not suffice."""
    if reveal not in REVEAL_WORDS and int(reveal) < min(left, MAX_OPENINGS):
        return "disclose more triggers: --reveal enough, or --reveal all"
    return SPENT_HINT if start else "require fewer bits with --min-bits"


def _number(reveal: Any, most: int) -> int:
    """Return a number of triggers; whatever else is given must not count as "all"."""
    try:
        number = index(reveal)
    except TypeError:
        number = 0
    if isinstance(reveal, bool) or not 1 <= number <= most:
        raise UsageError(
            f"--reveal is {reveal!r}, expected 1 to {most} triggers, 'enough' or 'all'"
        )
    return number


class _Choosing:
    """Attempts to reach ``wanted`` bits with one probe, in groups with a session each.

    Attributes:
        most_bits: that were reached, before any penalty.
        failure: what ended the first attempt that failed.
    """

    def __init__(
        self,
        suspect: Suspect,
        trigger_slice: TriggerSlice,
        selection: Selection,
        wanted: float,
        stops_early: bool,
    ) -> None:
        self.most_bits = float("-inf")
        self.failure: CannotRunError | SuspectDiedError | None = None
        self._suspect = suspect
        self._trigger_slice = trigger_slice
        self._selection = selection
        self._wanted = wanted
        self._stops_early = stops_early
        self._feedings = suspect.feedings(trigger_slice.task)
        self._takes_single_rows = False

    def one_at_a_time(self) -> Choice | None:
        """Send each trigger unchanged and alone: all that an honest file needs.

        It is tried first, since all other probes together take thirty times as long.  A choice of
        another probe reveals that this one failed, and nothing else about undisclosed triggers.
        """
        group = _Group([Variant(one) for one in self._feedings])
        return self._by(group, len(self._trigger_slice))

    def by_other_probes(self) -> Choice | None:
        """Find the probe that needs the fewest triggers; of several, the first in a fixed order.

        A query with all triggers shows whether there is one, and which kind to begin with, so that
        the other groups can stop earlier.  Nothing else depends on that query: in whatever order
        the groups are tried, the same probe is found.
        """
        query = BatchQuery(self._suspect, self._trigger_slice)
        if not query.until(self._reached):
            return None
        likely = _kind_of(max(query.mixture.probes, key=query.mixture.weighted))
        return self._best(list(self._groups()), likely) or self._best(self._views(), likely)

    def _best(self, groups: Sequence["_Group"], likely: "Kind") -> Choice | None:
        """Return the choice by the group that needs the fewest triggers, the first of several."""
        best: tuple[int, int] | None = None  # triggers, and number of the group
        chosen = None
        for number, group in sorted(enumerate(groups), key=lambda pair: pair[1].kind != likely):
            most = best[0] if best else len(self._trigger_slice)
            choice = self._by(group, min(most, group.most))
            if choice is None:
                continue
            if not self._stops_early:
                return choice
            found = len(choice.trigger_slice), number
            if best is None or found < best:
                best, chosen = found, choice
        return chosen

    def _groups(self) -> Iterator["_Group"]:
        """Yield the groups of variants that share a session; ``wmx check`` queries them too.

        Plain probes are in each group, since variations have a share only beside them.
        """
        for rows in (ALONE, TOGETHER, *OTHER_ROWS):
            feedings = [
                one
                for one in self._feedings
                if rows == ALONE or (one.batch is None if rows else (one.batch or 1) > 1)
            ]
            plain = [Variant(one, rows) for one in feedings]
            scaled = [
                Variant(one, rows, scaling=scaling)
                for one in feedings
                for scaling in one.scalings[1:]
            ]
            shifted = [Variant(one, rows, shift) for shift in SHIFTS for one in feedings]
            if plain and rows != ALONE:
                yield _Group(plain)
            if rows in (ALONE, TOGETHER) or not self._takes_single_rows:
                if scaled:
                    yield _Group(plain + scaled)
                if shifted and self._trigger_slice.task.kind == "image":
                    yield _Group(plain + shifted)

    def _views(self) -> list["_Group"]:
        """Return the views of the suspect, where no other group sufficed."""
        try:
            return [_Group(view=name) for name in self._suspect.views()]
        except UnseenViewError as error:
            self.failure = self.failure or error
            return []

    def _by(self, group: "_Group", most: int) -> Choice | None:
        """Send up to ``most`` triggers in all variants side by side, until one suffices."""
        if most < group.step:
            return None
        mixture = Mixture(self._trigger_slice)
        given = self._trigger_slice.first(most)
        try:
            if group.view:
                mixture.views = len(self._suspect.views())
                query_view(self._suspect, group.view, given, mixture, self._is_enough)
            else:
                with fresh(self._suspect) as again:
                    query_sequentially(again, group.variants, given, mixture, self._is_enough)
        except (CannotRunError, SuspectDiedError) as error:
            self.failure = self.failure or error
            return None
        finally:
            self._takes_single_rows |= any(probe.rows == ALONE for probe in mixture.probes)
        if not mixture.probes or not self._suffices(mixture):
            return None
        best = mixture.best
        seen = max(mixture.count(probe) for probe in mixture.probes)
        return Choice(
            trigger_slice=self._trigger_slice.first(seen)
            if self._stops_early
            else self._trigger_slice,
            probe=best,
            predictions=mixture.predictions_of(best),
            probes=mixture.plain_probes(best.group),
            selection=self._selection,
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


Kind: TypeAlias = tuple[bool, bool, str]


@dataclass(frozen=True)
class _Group:
    """Variants that share a session; or a view, whose feedings are known once it is opened."""

    variants: Sequence[Variant] = ()
    view: str = ""

    @property
    def step(self) -> int:
        """Fewest triggers in one call."""
        return min((variant.step for variant in self.variants), default=1)

    @property
    def most(self) -> int:
        """Most triggers that are sent."""
        if self.view:
            return MOST_IN_VIEWS
        return MOST_SHIFTED if self.kind[0] else MAX_OPENINGS

    @property
    def kind(self) -> Kind:
        """As :func:`_kind_of` the variations."""
        return _kind_of(self.variants[-1]) if self.variants else (False, False, self.view)


def _kind_of(one: Variant | Probe) -> Kind:
    """Say whether inputs are shifted, whether they are rescaled, and which view they are given."""
    return one.shift != NO_SHIFT, bool(one.scaling), one.view
