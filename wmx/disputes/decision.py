"""Who is named: a decision from nothing but what the parties have shown.

Pure functions of what was found; docs/disputes.md gives the reasons.  A party is ahead of another
only if :func:`obstacles` finds nothing in its way, and is named only if it is ahead of all others
and no party whose claim does not verify has a model from which the suspect may be made
(:func:`objections`).  So neither silence, nor a contradiction, nor anything unclear decides a
dispute.  Nor does a date that was left out: that something of a party is old takes a timestamp, and
that it is young takes the party's own signed word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import TypeAlias

from wmx.protocol.dating import UNDATED, Dating


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
        marks: whether the model carries each party's mark, by the party's name; ``None`` if the
            model was not shown.
        unclear: why a mark is :attr:`Mark.unclear`, by the party's name, as words that follow the
            model's name.
        made: when the record was made, at the earliest, as its party has signed itself.
    """

    name: str
    identity: str
    dating: Dating = UNDATED
    marks: Mapping[str, Mark] | None = None
    unclear: Mapping[str, str] = field(default_factory=dict)
    made: Dating = UNDATED

    def is_clean(self, owner: str, other: str) -> bool:
        """Say whether it carries the mark of its owner and lacks the other's.

        Args:
            owner: the party whose original it is.
            other: another party.
        """
        return self._carries(owner) is Mark.carried and self._carries(other) is Mark.lacking

    def carries_both(self, owner: str, other: str) -> bool:
        """Say whether it carries the marks of its owner and of the other.

        Args:
            owner: the party whose original it is.
            other: another party.
        """
        return self._carries(owner) is self._carries(other) is Mark.carried

    def is_none(self, owner: str) -> bool:
        """Say whether it lacks its owner's mark, and so counts for nothing."""
        return self._carries(owner) is Mark.lacking

    def _carries(self, party: str) -> Mark:
        return Mark.unclear if self.marks is None else self.marks[party]


@dataclass(frozen=True)
class Case:
    """What a party has shown.

    Attributes:
        name: of the party.
        claim: when its claim was made, at the earliest, as the party has signed itself; being early
            does not help the party.
        originals: models that it has signed as its own.
        withholds: whether one of its release records names an earlier one that was not shown.
    """

    name: str
    claim: Dating = UNDATED
    originals: tuple[Original, ...] = ()
    withholds: bool = False

    def dated_against(self, other: "Case") -> list[Original]:
        """Return its dated originals that carry its mark and lack the other's, oldest first."""
        dated = [
            original
            for original in self.originals
            if original.is_clean(self.name, other.name) and original.dating.is_trusted
        ]
        return sorted(dated, key=lambda original: (original.dating.latest, original.identity))


class Lack(StrEnum):
    """Reasons why a party is not ahead; all but the first three are about the other party."""

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
    """A reason why a party is not ahead of another.

    Attributes:
        lack: the reason.
        original: the other party's model, if the reason is about one.
    """

    lack: Lack
    original: Original | None = None


@dataclass(frozen=True)
class Objection:
    """A model for which nobody is named, of a party whose claim does not verify.

    Attributes:
        party: its name.
        original: the model that it has signed as its own.
    """

    party: str
    original: Original


Pair: TypeAlias = frozenset[str]
Nearer: TypeAlias = Mapping[Pair, str]  # by the identities of two originals: that of the nearer one


@dataclass(frozen=True)
class Comparison:
    """Two parties side by side.

    Attributes:
        parties: both names, sorted.
        obstacles: why each is not ahead of the other, by its name.
    """

    parties: tuple[str, str]
    obstacles: Mapping[str, tuple[Obstacle, ...]]

    @property
    def ahead(self) -> str | None:
        """Name of the party that is ahead; ``None`` if neither is."""
        free = [name for name in self.parties if not self.obstacles[name]]
        return free[0] if len(free) == 1 else None


def obstacles(one: Case, other: Case, found: Dating, nearer: Nearer) -> tuple[Obstacle, ...]:
    """Return why ``one`` is not ahead of ``other``; nothing if it is.

    One has to show a dated original that carries only its own mark.  The other has to have shown a
    record: else whoever runs the dispute could win it by leaving out what the other has.  And no
    model that the other signed may count as an original.  It does not if by the other's own word it
    carries both marks and is the younger one, or is younger than the suspect, which it may be made
    from.

    Args:
        one: the party that may be ahead.
        other: the party that it is compared with.
        found: by when the suspect existed.
        nearer: results of lineage, for the pairs of originals that have one.
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
            if best is not None and not best.dating.is_before(original.made):
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
    """Return why an original that carries only its owner's mark still counts."""
    if not original.dating.is_trusted:
        return [Obstacle(Lack.undated, original)]
    if found.is_trusted and not found.is_before(original.made):
        return [Obstacle(Lack.older_than_suspect, original)]
    if best is not None:
        pair = frozenset((best.identity, original.identity))
        if nearer.get(pair) != best.identity:
            return [Obstacle(Lack.lineage, original)]
    return []


def _of_dates(best: Original | None, other: Case, found: Dating) -> list[Obstacle]:
    """Return which dates are missing to show that the other's original is too young to count.

    The suspect carries the mark of the other's claim.  If that was made after the first party's
    original, the suspect was too, whatever dates of the suspect were left out.
    """
    lacking = []
    if not found.is_trusted:
        lacking.append(Obstacle(Lack.suspect_undated))
    elif best is not None and not best.dating.is_before(found):
        lacking.append(Obstacle(Lack.suspect_not_later))
    if best is not None and not best.dating.is_before(other.claim):
        lacking.append(Obstacle(Lack.older_claim))
    return lacking


def compare(one: Case, other: Case, found: Dating, nearer: Nearer) -> Comparison:
    """Compare two parties; see :func:`obstacles`.

    Args:
        one, other: the parties, in any order.
        found: by when the suspect existed.
        nearer: results of lineage, for the pairs of originals that have one.
    """
    first, second = sorted((one, other), key=lambda case: case.name)
    return Comparison(
        (first.name, second.name),
        {
            first.name: obstacles(first, second, found, nearer),
            second.name: obstacles(second, first, found, nearer),
        },
    )


def compare_all(cases: Sequence[Case], found: Dating, nearer: Nearer) -> list[Comparison]:
    """Compare every pair of parties, in the order of their names.

    Args:
        cases: the parties.
        found: by when the suspect existed.
        nearer: results of lineage, for the pairs of originals that have one.
    """
    ordered = sorted(cases, key=lambda case: case.name)
    return [compare(one, other, found, nearer) for one, other in combinations(ordered, 2)]


def leader(cases: Sequence[Case], comparisons: Sequence[Comparison]) -> str | None:
    """Return the name of the party that is ahead of every other; ``None`` if there is none.

    Args:
        cases: the parties; of a single one nobody leads.
        comparisons: of every pair of them.
    """
    if len(cases) < 2:
        return None
    wins = [comparison.ahead for comparison in comparisons]
    leaders = [case.name for case in cases if wins.count(case.name) == len(cases) - 1]
    return leaders[0] if leaders else None


def best_originals(ahead: str, cases: Sequence[Case]) -> list[Original]:
    """Return the originals by which a party is ahead of each other one.

    Args:
        ahead: name of the party.
        cases: the parties whose claims verify.
    """
    (leading,) = (case for case in cases if case.name == ahead)
    return [leading.dated_against(other)[0] for other in cases if other is not leading]


def objections(out: Sequence[Case], best: Sequence[Original], found: Dating) -> list[Objection]:
    """Return the models for which nobody is named, though the marks of their owners are not found.

    A mark can be erased, or hidden where nobody looks.  Whoever did that to an owner's could have
    two keys of their own, and be ahead of themselves.  So a party whose claim does not verify on
    the suspect keeps others from being named by a model that was signed as its own: the suspect may
    be made from it, unless it lacks the party's mark or is too young for that.  It is so by the
    party's own word, as where the claim verifies (:func:`obstacles`): younger than the suspect, and
    its claim younger than the originals by which the leader is ahead.  An earlier record of the
    party that was not shown objects too.

    Args:
        out: the parties whose claims do not verify.
        best: the originals by which somebody is ahead of all others (:func:`best_originals`).
        found: by when the suspect existed.
    """
    return [
        Objection(case.name, original)
        for case in out
        for original in case.originals
        if case.withholds
        or not (original.is_none(case.name) or _is_too_young(original, case, best, found))
    ]


def _is_too_young(original: Original, case: Case, best: Sequence[Original], found: Dating) -> bool:
    """Say whether by a party's own word the suspect cannot be made from its original.

    A claim that is older than the leader's original may have marked a model that was not signed in
    time, from which the leader's may be made too.
    """
    return (
        found.is_trusted
        and found.is_before(original.made)
        and all(one.dating.is_before(case.claim) for one in best)
    )
