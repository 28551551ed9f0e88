"""Why a comparison decides or not, in plain words, and what would settle it."""

from collections.abc import Mapping

from wmx.disputes.decision import Case, Comparison, Lack, Mark, Objection, Obstacle, Original, Pair
from wmx.disputes.lineage import NEARER_BITS, Lineage
from wmx.protocol.dating import Dating

MARKED = {Mark.carried: "with", Mark.unclear: "perhaps with", Mark.lacking: "without"}


def reasons(
    comparison: Comparison,
    cases: Mapping[str, Case],
    found: Dating,
    lineages: Mapping[Pair, Lineage],
) -> list[str]:
    """Return why one of two parties is ahead, or why neither is; one sentence each.

    Args:
        comparison: of two of ``cases``.
        cases: those that were compared, by name.
        found: by when the suspect existed.
        lineages: of pairs of originals, by their identities.
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


def objection_text(objection: Objection) -> str:
    """Return why nobody is named though one party is ahead of all others whose claims verify.

    Args:
        objection: a model of a party whose claim does not verify.
    """
    original, party = objection.original, objection.party
    said = "was not tested for its mark"
    if original.marks is not None:
        said = f"is {MARKED[original.marks[party]]} its mark"
    return (
        f"{original.name} of {party} {said}, and the word of its signer ({made(original.made)}) "
        "does not make it younger than the suspect, and its claim younger than the originals of "
        "who is ahead, or an earlier one was not shown: the suspect may be made from it, and its "
        "mark erased from the suspect, or hidden in it"
    )


def lineage_text(lineage: Lineage, names: Mapping[str, str]) -> str:
    """Return the result of lineage in words.

    Args:
        lineage: the result.
        names: of the originals, by identity.
    """
    if lineage.failure is not None:
        return f"failed: {lineage.failure}"
    asked = f"{lineage.disagreements} of {lineage.inputs:,} inputs"
    if lineage.alike:
        return (
            f"they differ on only {asked}, so they are too much alike to compare the suspect with"
        )
    sides = " and ".join(f"{count} times with {names[one]}" for one, count in lineage.sides.items())
    word = "decided" if lineage.nearer is not None else "open"
    return (
        f"they differ on {asked}, where the suspect agrees {sides}: by chance with probability "
        f"2**-{lineage.bits:.1f}, {word}"
    )


def _why_ahead(
    one: Case, other: Case, found: Dating, lineages: Mapping[Pair, Lineage]
) -> list[str]:
    best = one.dated_against(other)[0]
    said = [f"{one.name}: its original {best.name} carries only its mark, {dated(best.dating)}"]
    for original in other.originals:
        if original.carries_both(one.name, other.name):
            said.append(
                f"{other.name}: it has signed {original.name} as its own, which carries the mark "
                f"of {one.name} too, so it is no original"
            )
        elif original.is_clean(other.name, one.name):
            pair = frozenset((best.identity, original.identity))
            names = {best.identity: best.name, original.identity: original.name}
            said.append(
                f"{other.name}: its original {original.name}, {made(original.made)}, is "
                f"younger than the suspect, {dated(found)}, and can have been made from it"
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
                "no date shows by when the suspect existed, so no model is shown to be younger; "
                "who finds a suspect should have it dated (wmx release SUSPECT --found)"
            )
        case Lack.suspect_not_later:
            assert best is not None
            return (
                f"its original {best.name}, {dated(best.dating)}, is not older than the suspect, "
                f"{dated(found)}"
            )
        case Lack.silence:
            return (
                f"{other.name} has shown no release record of a model of its own, and its silence "
                "decides nothing"
            )
        case Lack.withheld:
            return (
                f"{other.name} has an earlier release record that was not shown: one of those that "
                "were shown names it"
            )
        case Lack.older_claim:
            assert best is not None
            return (
                f"the claim of {other.name}, {made(other.claim)}, is not younger than its "
                f"original {best.name}, {dated(best.dating)}"
            )
    assert original is not None
    if obstacle.lack is Lack.unclear:
        return f"{original.name} of {other.name} {_unclear(original, one, other)}"
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
            return (
                "has no timestamp that is trusted here (--roots), and so may be older than every "
                "other model"
            )
        case Lack.older_than_suspect:
            return (
                f"is an original too, {made(original.made)}, and not younger than the suspect, "
                f"{dated(found)}, so the suspect can have been made from it"
            )
        case Lack.both_not_later:
            return f"carries both marks, and is not the younger one: {made(original.made)}"
    assert lack is Lack.lineage
    assert best is not None
    names = {best.identity: best.name, original.identity: original.name}
    return (
        f"is not shown to be further from the suspect than {best.name} (which takes a probability "
        f"of 2**-{NEARER_BITS:g}): {lineage_text(lineages[frozenset(names)], names)}"
    )


def _unclear(original: Original, one: Case, other: Case) -> str:
    """Say why an original counts neither as with nor as without a mark of the two parties."""
    names = [name for name in (one.name, other.name) if name in original.unclear]
    said = dict.fromkeys(original.unclear[name] for name in names)
    return ", and ".join(said) or "is not clearly with or without a mark"


def _no_original(one: Case, other: Case) -> str:
    if not one.originals:
        return "it has shown no release record of a model of its own"
    spoiled = []
    for original in one.originals:
        if original.marks is None:
            spoiled.append(f"{original.name} was not shown, only its release record (--original)")
        elif original.is_none(one.name):
            spoiled.append(f"{original.name} does not carry its mark")
        elif original.carries_both(one.name, other.name):
            spoiled.append(f"{original.name} carries the mark of {other.name} too")
        elif not original.is_clean(one.name, other.name):
            spoiled.append(f"{original.name} {_unclear(original, one, other)}")
        else:
            spoiled.append(
                f"the release record of {original.name} has no timestamp that is trusted here "
                "(--roots)"
            )
    return f"it has shown no dated original: {'; '.join(spoiled)}"


def dated(dating: Dating) -> str:
    """Return the trusted date of a file and how far it may be off, in words."""
    if dating.time is None:
        return "undated"
    seconds = dating.accuracy.total_seconds()
    return f"dated {dating.time:%Y-%m-%dT%H:%M:%SZ} give or take {seconds:g} s"


def made(dating: Dating) -> str:
    """Return when something was made, at the earliest, as its party admits, in words."""
    if dating.time is None:
        return "made nobody says when"
    return (
        f"made {dating.time:%Y-%m-%dT%H:%M:%SZ} at the earliest, by the word of {dating.authority}"
    )
