"""Who is named: what each party has shown against each other, and nothing but that.

Pure functions of what was found; docs/disputes.md gives the reasons.  One party is ahead of another
only if nothing of what :func:`obstacles` looks for stands in the way, and named only if it is ahead
of all others.  So silence decides nothing, a contradiction decides nothing, and what is unclear
decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TypeAlias

from wmx.protocol.timestamp import UNDATED, Dating


class Mark(StrEnum):
    """Whether a model carries a mark."""

    carried = "carried"
    unclear = "unclear"
    lacking = "lacking"


@dataclass(frozen=True)
class Original:
    """A model that a party has signed as its own.

    Attributes:
        name: of the file, for reports.
        identity: one digest of all its files.
        dating: of the release record.
        marks: which marks the model carries, by the names of the parties; ``None`` where the model
            itself was not shown, or cannot be asked.
    """

    name: str
    identity: str
    dating: Dating = UNDATED
    marks: Mapping[str, Mark] | None = None

    def is_clean(self, owner: str, other: str) -> bool:
        """Say whether it carries the mark of its owner and lacks the other's."""
        return self._carries(owner) is Mark.carried and self._carries(other) is Mark.lacking

    def carries_both(self, owner: str, other: str) -> bool:
        """Say whether it carries the marks of its owner and of the other."""
        return self._carries(owner) is self._carries(other) is Mark.carried

    def is_none(self, owner: str) -> bool:
        """Say whether it lacks its owner's mark, and so says nothing."""
        return self._carries(owner) is Mark.lacking

    def _carries(self, party: str) -> Mark:
        return Mark.unclear if self.marks is None else self.marks[party]


@dataclass(frozen=True)
class Case:
    """What a party has shown whose claim verifies on the suspect.

    Attributes:
        name: of the party.
        claim: the earliest trusted date of its claim, which orders nothing in its favor.
        originals: models that it has signed as its own.
        withholds: whether one of its release records names an earlier one that is not shown.
    """

    name: str
    claim: Dating = UNDATED
    originals: tuple[Original, ...] = ()
    withholds: bool = False

    def dated_against(self, other: "Case") -> list[Original]:
        """Return its dated originals that carry its own mark and lack the other's, oldest first."""
        dated = [
            original
            for original in self.originals
            if original.is_clean(self.name, other.name) and original.dating.is_trusted
        ]
        return sorted(dated, key=lambda original: (original.dating.latest, original.identity))


class Lack(StrEnum):
    """What keeps a party from being ahead of another; of the other, but for the first three."""

    no_original = "no_original"
    suspect_undated = "suspect_undated"
    suspect_not_later = "suspect_not_later"
    silence = "silence"
    withheld = "withheld"
    not_shown = "not_shown"
    unclear = "unclear"
    undated = "undated"
    both_not_later = "both_not_later"
    older_than_suspect = "older_than_suspect"
    older_claim = "older_claim"
    lineage = "lineage"


@dataclass(frozen=True)
class Obstacle:
    """One of them.

    Attributes:
        lack: what is missing or in the way.
        original: of the other, if it is about one.
    """

    lack: Lack
    original: Original | None = None


Pair: TypeAlias = frozenset[str]
Nearer: TypeAlias = Mapping[Pair, str]  # by the identities of two originals: to which is nearer


@dataclass(frozen=True)
class Comparison:
    """Two parties side by side.

    Attributes:
        parties: both names, sorted.
        obstacles: what keeps each from being ahead of the other, by its name.
    """

    parties: tuple[str, str]
    obstacles: Mapping[str, tuple[Obstacle, ...]]

    @property
    def ahead(self) -> str | None:
        """Who is ahead, ``None`` if neither is."""
        free = [name for name in self.parties if not self.obstacles[name]]
        return free[0] if len(free) == 1 else None


def obstacles(one: Case, other: Case, found: Dating, nearer: Nearer) -> tuple[Obstacle, ...]:
    """Return what keeps ``one`` from being ahead of ``other``.

    One has to show an original, dated, with its own mark alone.  The other has to have spoken:
    whoever runs the dispute could else win it by leaving out what the other has.  And nothing that
    the other signed may be an original that counts: each carries the marks of both and is not
    shown to be older, or is younger than the suspect, from which it may then have been made.

    Args:
        one, other: the parties.
        found: when the suspect existed at the latest.
        nearer: what lineage says, for pairs of originals where it says something.
    """
    best = next(iter(one.dated_against(other)), None)
    lacking: list[Obstacle] = []
    if best is None:
        lacking.append(Obstacle(Lack.no_original))
    if other.withholds:
        lacking.append(Obstacle(Lack.withheld))
    spoken = [original for original in other.originals if not original.is_none(other.name)]
    if not spoken:
        lacking.append(Obstacle(Lack.silence))
    for original in spoken:
        if original.carries_both(one.name, other.name):
            if best is not None and not best.dating.is_before_if_dated(original.dating):
                lacking.append(Obstacle(Lack.both_not_later, original))
        elif original.is_clean(other.name, one.name):
            lacking += _against_clean(original, best, found, nearer)
        else:
            lack = Lack.not_shown if original.marks is None else Lack.unclear
            lacking.append(Obstacle(lack, original))
    if any(original.is_clean(other.name, one.name) for original in spoken):
        lacking += _of_dates(best, other, found)
    return tuple(lacking)


def _against_clean(
    original: Original, best: Original | None, found: Dating, nearer: Nearer
) -> list[Obstacle]:
    """Return why an original with its owner's mark alone still counts."""
    if not original.dating.is_trusted:
        return [Obstacle(Lack.undated, original)]
    if found.is_trusted and not found.is_before(original.dating):
        return [Obstacle(Lack.older_than_suspect, original)]
    if best is not None:
        pair = frozenset((best.identity, original.identity))
        if nearer.get(pair) != best.identity:
            return [Obstacle(Lack.lineage, original)]
    return []


def _of_dates(best: Original | None, other: Case, found: Dating) -> list[Obstacle]:
    """Return what the dates lack by which an original of the other is too young to count."""
    lacking = []
    if not found.is_trusted:
        lacking.append(Obstacle(Lack.suspect_undated))
    elif best is not None and not best.dating.is_before(found):
        lacking.append(Obstacle(Lack.suspect_not_later))
    if best is not None and not best.dating.is_before_if_dated(other.claim):
        lacking.append(Obstacle(Lack.older_claim))
    return lacking


def compare(one: Case, other: Case, found: Dating, nearer: Nearer) -> Comparison:
    """Return what two parties have shown against each other; see :func:`obstacles`."""
    first, second = sorted((one, other), key=lambda case: case.name)
    return Comparison(
        (first.name, second.name),
        {
            first.name: obstacles(first, second, found, nearer),
            second.name: obstacles(second, first, found, nearer),
        },
    )


def compare_all(cases: Sequence[Case], found: Dating, nearer: Nearer) -> list[Comparison]:
    """Compare every pair, in the order of their names."""
    ordered = sorted(cases, key=lambda case: case.name)
    return [compare(one, other, found, nearer) for one, other in combinations(ordered, 2)]


def named(cases: Sequence[Case], comparisons: Sequence[Comparison]) -> str | None:
    """Return who is ahead of every other party, if there is one and there are others."""
    if len(cases) < 2:
        return None
    wins = [comparison.ahead for comparison in comparisons]
    leaders = [case.name for case in cases if wins.count(case.name) == len(cases) - 1]
    return leaders[0] if leaders else None
