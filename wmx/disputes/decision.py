"""Who is named: two comparisons of every pair, and nothing but what both sides have shown.

Pure functions of what was found.  Three rules keep a thief from being named:

- Silence decides nothing.  A stamp or an original counts only against a stamp or an original of the
  other side.  Whoever runs the dispute could else win it by leaving out what the other has shown.
- Two comparisons that point to different parties point to nobody.
- Named is only who is ahead of every other party.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TypeAlias

from wmx.timestamp import Dating


class Mark(StrEnum):
    """Whether a model carries a mark."""

    carried = "carried"
    unclear = "unclear"
    lacking = "lacking"


@dataclass(frozen=True)
class Case:
    """What a party has shown whose claim verifies on the suspect.

    Attributes:
        name: of the party.
        dating: what its timestamps are worth to the judge.
        original: which marks its original carries, by the names of the parties, its own among
            them; ``None`` if it gave none.
    """

    name: str
    dating: Dating
    original: Mapping[str, Mark] | None = None


@dataclass(frozen=True)
class Comparison:
    """Two parties side by side.

    Attributes:
        parties: both names, sorted.
        by_timestamps, by_originals: who is ahead by this alone; ``None`` if it does not decide.
    """

    parties: tuple[str, str]
    by_timestamps: str | None
    by_originals: str | None

    @property
    def is_contradictory(self) -> bool:
        """Whether timestamps and originals point to different parties."""
        return None not in (self.by_timestamps, self.by_originals) and (
            self.by_timestamps != self.by_originals
        )

    @property
    def ahead(self) -> str | None:
        """Who is ahead, ``None`` if neither is."""
        return None if self.is_contradictory else self.by_timestamps or self.by_originals


def compare(one: Case, other: Case) -> Comparison:
    """Return what two parties have shown against each other."""
    first, second = sorted((one, other), key=lambda case: case.name)
    return Comparison(
        (first.name, second.name),
        _ahead(first, second, _is_earlier),
        _ahead(first, second, _has_the_cleaner_original),
    )


def compare_all(cases: Sequence[Case]) -> list[Comparison]:
    """Compare every pair, in the order of their names."""
    ordered = sorted(cases, key=lambda case: case.name)
    return [compare(one, other) for one, other in combinations(ordered, 2)]


def named(cases: Sequence[Case], comparisons: Sequence[Comparison]) -> str | None:
    """Return who is ahead of every other party, if there is one and there are others."""
    if len(cases) < 2:
        return None
    wins = [comparison.ahead for comparison in comparisons]
    leaders = [case.name for case in cases if wins.count(case.name) == len(cases) - 1]
    return leaders[0] if leaders else None


_Beats: TypeAlias = Callable[[Case, Case], bool]


def _ahead(first: Case, second: Case, beats: _Beats) -> str | None:
    if beats(first, second):
        return first.name
    return second.name if beats(second, first) else None


def _is_earlier(one: Case, other: Case) -> bool:
    return one.dating.is_before(other.dating)


def _has_the_cleaner_original(one: Case, other: Case) -> bool:
    """Say whether one's original is free of the other's mark, and the other's is not of one's.

    Each original has to carry its own party's mark, else it is no original.  That one's is clean
    would prove nothing alone: anybody can train a model with his own mark only, at any time.  But
    the other's carries one's secret, which nobody can have put there unknowingly.
    """
    if one.original is None or other.original is None:
        return False
    return (
        one.original[one.name] == other.original[other.name] == Mark.carried
        and one.original[other.name] == Mark.lacking
        and other.original[one.name] == Mark.carried
    )
