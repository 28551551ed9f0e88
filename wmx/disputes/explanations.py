"""Why a comparison decides or does not, in plain words, and what would settle it."""

from collections.abc import Mapping

from wmx.disputes.decision import Case, Comparison, Lack, Obstacle, Original, Pair
from wmx.disputes.lineage import NEARER_BITS, Lineage
from wmx.protocol.timestamp import Dating


def reasons(
    comparison: Comparison,
    cases: Mapping[str, Case],
    found: Dating,
    lineages: Mapping[Pair, Lineage],
) -> list[str]:
    """Return why one of two parties is ahead, or what keeps each from being so.

    Args:
        comparison: of two of ``cases``.
        cases: those that were compared, by name.
        found: when the suspect existed at the latest.
        lineages: by the identities of two originals.
    """
    first, second = (cases[name] for name in comparison.parties)
    ahead = comparison.ahead
    if ahead is not None:
        one, other = (first, second) if ahead == first.name else (second, first)
        return _why_ahead(one, other, found, lineages)
    sentences = [
        f"{one.name} is not ahead: {_sentence(obstacle, one, other, found, lineages)}"
        for one, other in ((first, second), (second, first))
        for obstacle in comparison.obstacles[one.name]
    ]
    return list(dict.fromkeys(sentences))


def lineage_text(lineage: Lineage, names: Mapping[str, str]) -> str:
    """Return what lineage found; ``names`` are those of the originals, by identity."""
    if lineage.failure is not None:
        return f"could not be asked: {lineage.failure}"
    asked = f"{lineage.disagreements} of {lineage.inputs:,} inputs"
    if lineage.alike:
        return f"they differ on {asked} alone, so they are too much alike to take a side"
    sides = " and ".join(f"{count} times with {names[one]}" for one, count in lineage.sides.items())
    word = "decided" if lineage.nearer is not None else "open"
    return (
        f"they differ on {asked}, and there the suspect is {sides}: by chance with probability "
        f"2**-{lineage.bits:.1f}, {word}"
    )


def _why_ahead(
    one: Case, other: Case, found: Dating, lineages: Mapping[Pair, Lineage]
) -> list[str]:
    best = one.dated_against(other)[0]
    said = [f"{one.name}: its original {best.name} carries its mark alone, {_dated(best.dating)}"]
    for original in other.originals:
        if original.carries_both(one.name, other.name):
            said.append(
                f"{other.name}: it has signed {original.name} as its own, which carries the mark "
                f"of {one.name} too, so that it is no original"
            )
        elif original.is_clean(other.name, one.name):
            pair = frozenset((best.identity, original.identity))
            names = {best.identity: best.name, original.identity: original.name}
            said.append(
                f"{other.name}: its original {original.name}, {_dated(original.dating)}, is "
                f"younger than the suspect, {_dated(found)}, and can have been made from it"
            )
            said.append(f"lineage: {lineage_text(lineages[pair], names)}")
    return said


def _sentence(
    obstacle: Obstacle,
    one: Case,
    other: Case,
    found: Dating,
    lineages: Mapping[Pair, Lineage],
) -> str:
    best = next(iter(one.dated_against(other)), None)
    original = obstacle.original
    match obstacle.lack:
        case Lack.no_original:
            return _no_original(one, other)
        case Lack.suspect_undated:
            return (
                "when the suspect existed is not shown; who finds one has it dated (wmx release "
                "SUSPECT --found), and an original that is younger than that counts for nothing"
            )
        case Lack.suspect_not_later:
            assert best is not None
            return (
                f"its original {best.name}, {_dated(best.dating)}, is not older than the suspect, "
                f"{_dated(found)}"
            )
        case Lack.silence:
            return (
                f"{other.name} has not shown a release record of a model that it calls its own, "
                "and nothing follows from silence"
            )
        case Lack.withheld:
            return (
                f"{other.name} has an earlier release record that was not shown, as one of those "
                "that were shown says"
            )
        case Lack.older_claim:
            assert best is not None
            return (
                f"the claim of {other.name}, {_dated(other.claim)}, is not younger than its "
                f"original {best.name}, {_dated(best.dating)}"
            )
    assert original is not None
    return (
        f"{original.name} of {other.name} {_about(obstacle.lack, original, best, found, lineages)}"
    )


def _about(
    lack: Lack,
    original: Original,
    best: Original | None,
    found: Dating,
    lineages: Mapping[Pair, Lineage],
) -> str:
    match lack:
        case Lack.not_shown:
            return "was not shown, only its release record; give it with --original"
        case Lack.undated:
            return "bears no timestamp that is trusted here, and may be as old as it likes"
        case Lack.older_than_suspect:
            return (
                f"is an original too, {_dated(original.dating)}, and not younger than the suspect, "
                f"{_dated(found)}, so the suspect can have been made from it"
            )
        case Lack.both_not_later:
            return f"carries both marks, and {_dated(original.dating)} it is not younger"
        case Lack.lineage:
            assert best is not None
            names = {best.identity: best.name, original.identity: original.name}
            found_out = lineage_text(lineages[frozenset(names)], names)
            return (
                f"is not shown to be further from the suspect than {best.name} "
                f"(2**-{NEARER_BITS:g} is asked for): {found_out}"
            )
    return "has a mark that it neither carries nor lacks, or cannot be asked"


def _no_original(one: Case, other: Case) -> str:
    if not one.originals:
        return "it has shown no release record of a model of its own"
    spoilt = []
    for original in one.originals:
        if original.marks is None:
            spoilt.append(f"{original.name} was not shown, only its release record (--original)")
        elif original.is_none(one.name):
            spoilt.append(f"{original.name} does not carry its mark")
        elif original.carries_both(one.name, other.name):
            spoilt.append(f"{original.name} carries the mark of {other.name} too")
        elif not original.is_clean(one.name, other.name):
            spoilt.append(f"{original.name} neither carries nor lacks a mark, or cannot be asked")
        else:
            spoilt.append(f"the release record of {original.name} bears no trusted timestamp")
    return f"it has shown no dated original: {'; '.join(spoilt)}"


def _dated(dating: Dating) -> str:
    if dating.time is None:
        return "undated"
    seconds = dating.accuracy.total_seconds()
    return f"dated {dating.time:%Y-%m-%dT%H:%M:%SZ} give or take {seconds:g} s"
