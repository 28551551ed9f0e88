"""Choosing what an evidence discloses: the fewest triggers, and one probe's answers to them.

The answers are asked for anew, in a session that is given the disclosed triggers and no others, one
after the other: a hostile file may hide what it has seen in the low bits of a right answer, be it
other rows of the batch or, by way of random operators, earlier calls.  So it can hide nothing but
what is disclosed anyway.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from wmx.errors import CannotRunError, SuspectDiedError, UsageError
from wmx.statistics.mixture import ALONE, OTHER_ROWS, TOGETHER, Betting, Way, price_of
from wmx.statistics.predictions import Answers
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import Window
from wmx.verification.codec import MAX_OPENINGS
from wmx.verification.query import Asking
from wmx.verification.query_in_turn import Variant, ask_in_turn, fresh
from wmx.watermark import Watermark

Reveal: TypeAlias = Literal["enough", "all"] | int

SPENT_HINT = "a trusted timestamp halves the bits that are needed; embed a new claim next time"
MARGIN_BITS = 0.01  # so that rounding on the checker's machine does not decide
MOST_WAYS_TRIED = 3


@dataclass(frozen=True)
class Choice:
    """Triggers to disclose, and the answers to them by which a third party will count.

    Attributes:
        window: the triggers.
        way: how they were given and read.
        answers: to the triggers, or to the first of them where whole batches were given.
        probes: how many plain ways there are with as many rows in a call.
    """

    window: Window
    way: Way
    answers: Answers
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
    window = watermark.window(start).first(MAX_OPENINGS)
    if not len(window):
        raise CannotRunError("every trigger of this claim was disclosed already", hint=SPENT_HINT)
    if isinstance(reveal, int):
        if not 1 <= reveal <= len(window):
            raise UsageError(f"--reveal is {reveal}, expected 1 to {len(window)} triggers")
        window = window.first(reveal)
    price = price_of(claims_tried, starts=watermark.claim.n, overrides=suspect.settled.price)
    choosing = _Choosing(suspect, window, required_bits + MARGIN_BITS + price, reveal == "enough")
    choice = choosing.one_at_a_time() or choosing.by_the_best_ways()
    if choice is None:
        if choosing.failure is not None and choosing.most_bits < 0:
            raise choosing.failure
        raise CannotRunError(
            f"the {len(window)} triggers from {start} give {choosing.most_bits - price:.1f} bits "
            f"after the {price:.1f} that their choice costs, and {required_bits:g} are needed; "
            "nothing was disclosed",
            hint=SPENT_HINT if start else "ask for fewer bits with --min-bits",
        )
    return choice


class _Choosing:
    """Attempts to reach ``wanted`` bits by one way, each in a session of its own.

    Attributes:
        most_bits: that were reached, before any price.
        failure: what ended the first attempt that failed.
    """

    def __init__(self, suspect: Suspect, window: Window, wanted: float, stops_early: bool) -> None:
        self.most_bits = float("-inf")
        self.failure: CannotRunError | SuspectDiedError | None = None
        self._suspect = suspect
        self._window = window
        self._wanted = wanted
        self._stops_early = stops_early
        self._feedings = {one.name: one for one in suspect.feedings(window.task)}
        self._tried: set[tuple[int, tuple[int, int], str]] = set()

    def one_at_a_time(self) -> Choice | None:
        """Give each trigger as it is and alone: all that an honest file needs."""
        return self._by(ALONE)

    def by_the_best_ways(self) -> Choice | None:
        """Try the ways in which the triggers give most evidence when they are asked together."""
        asking = Asking(self._suspect, self._window)
        for ask in asking.rounds():
            ask()
            self.most_bits = max(self.most_bits, asking.betting.bits)
            if self.most_bits >= self._wanted:
                break
        else:
            return None
        best = sorted(asking.betting.ways, key=asking.betting.weighted, reverse=True)
        for way in best[:MOST_WAYS_TRIED]:
            sizes = [rows for rows in reversed(OTHER_ROWS) if rows <= len(self._window)]
            if self._feedings[way.layout].batch is not None:
                sizes = [TOGETHER]
            for rows in sorted([ALONE, *sizes], key=lambda rows: rows != way.rows):
                choice = self._by(rows, way)
                if choice is not None:
                    return choice
        return None

    def _by(self, rows: int, way: Way | None = None) -> Choice | None:
        """Give the triggers in turn, as they are and as in ``way``, until one way suffices."""
        variants = [Variant(feeding, rows) for feeding in self._feedings.values()]
        if way is not None and not way.is_plain:
            variants.append(Variant(self._feedings[way.layout], rows, way.shift, way.scaling))
        key = (rows, variants[-1].shift, variants[-1].scaling)
        if key in self._tried:
            return None
        self._tried.add(key)
        betting = Betting(self._window)
        try:
            with fresh(self._suspect) as again:
                ask_in_turn(again, variants, self._window, betting, self._is_enough)
        except (CannotRunError, SuspectDiedError) as error:
            self.failure = self.failure or error
            return None
        if not betting.ways or not self._suffices(betting):
            return None
        best = betting.best
        return Choice(
            window=self._window.first(betting.count(best)) if self._stops_early else self._window,
            way=best,
            answers=betting.answers_of(best),
            probes=betting.plain_ways(best.rows),
        )

    def _is_enough(self, betting: Betting) -> bool:
        return self._stops_early and self._suffices(betting)

    def _suffices(self, betting: Betting) -> bool:
        bits = betting.weighted(betting.best)
        self.most_bits = max(self.most_bits, bits)
        return bits >= self._wanted
