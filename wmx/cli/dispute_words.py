"""What ``wmx dispute`` says, for people and for programs."""

from typing import TYPE_CHECKING, Any

from wmx.cli.output import table, tenths
from wmx.cli.words import dating_fields, digest_fields, suspect_fields, utc

if TYPE_CHECKING:
    from wmx.disputes.decision import Comparison
    from wmx.disputes.fine_tuning import FineTuned
    from wmx.disputes.held import Exhibit, Held
    from wmx.disputes.lineage import Lineage
    from wmx.disputes.party import Party
    from wmx.disputes.settling import Settlement
    from wmx.protocol.dating import Dating

SILENT = (
    "What a party has not shown counts neither for nor against anybody.  What settles a dispute is "
    "a release record that was dated before the model left its owner (wmx release); see "
    "docs/disputes.md."
)
OBJECTED = (
    "If such a claim has nothing to do with the suspect, run the dispute without it; else it is "
    "for a court to say whose mark was first.  See docs/disputes.md."
)


def settlement_text(settlement: "Settlement", tuned: "FineTuned | None") -> str:
    """Return the outcome in plain words.

    Args:
        settlement: what was found.
        tuned: what fine-tuning showed; ``None`` if it was not tried.
    """
    parts = [_head(settlement), "on the suspect:", table(_claim_rows(settlement))]
    if settlement.exhibits:
        parts += ["models that the parties signed as their own:", table(_exhibit_rows(settlement))]
    if settlement.lineages:
        parts += ["lineage:", table(_lineage_rows(settlement))]
    for comparison in settlement.comparisons:
        parts.append(
            f"{' against '.join(comparison.parties)}: {comparison.ahead or 'nobody'} ahead"
        )
        parts += [f"  - {reason}" for reason in _reasons(settlement, comparison)]
    if settlement.objections:
        parts.append("and nobody is named:")
        parts += [f"  - {reason}" for reason in _objections(settlement)]
    if tuned is not None:
        parts += _tuned_lines(tuned)
    if settlement.objections:
        parts.append(OBJECTED)
    elif settlement.outcome == "undecided":
        parts.append(SILENT)
    return "\n".join(parts)


def settlement_fields(settlement: "Settlement", tuned: "FineTuned | None") -> dict[str, Any]:
    """Return the outcome for programs, as the fields of ``--json``.

    Args:
        settlement: what was found.
        tuned: what fine-tuning showed; ``None`` if it was not tried.
    """
    return {
        "outcome": settlement.outcome,
        "named": settlement.named,
        **suspect_fields(settlement.suspect),
        "suspect_dating": _dating_fields(settlement.suspect_dating),
        "claims_times_models": settlement.tried,
        "parties": [
            {
                "name": party.name,
                "claim": party.claim_digest,
                "owner": party.trigger_slice.claim.owner.hex(),
                "triggers": len(party.trigger_slice),
                **_held_fields(settlement.held[party.name], _hides(party, settlement)),
                "unclear": party.name in settlement.unclear,
                **_dating_fields(party.dating),
                "originals": [
                    _exhibit_fields(one, _secret(settlement))
                    for one in settlement.exhibits
                    if one.party == party.name
                ],
            }
            for party in settlement.parties
        ],
        "lineages": [
            _lineage_fields(settlement, pair, lineage)
            for pair, lineage in settlement.lineages.items()
        ],
        "comparisons": [
            {
                "parties": list(comparison.parties),
                "ahead": comparison.ahead,
                "obstacles": {
                    name: [str(obstacle.lack) for obstacle in found]
                    for name, found in comparison.obstacles.items()
                },
                "reasons": _reasons(settlement, comparison),
            }
            for comparison in settlement.comparisons
        ],
        "objections": [
            {"party": objection.party, "model": objection.original.name, "reason": reason}
            for objection, reason in zip(
                settlement.objections, _objections(settlement), strict=True
            )
        ],
        "fine_tuning": tuned and _tuned_fields(tuned),
    }


def _reasons(settlement: "Settlement", comparison: "Comparison") -> list[str]:
    """Return why a comparison decides or not."""
    from wmx.disputes.explanations import reasons

    cases = {case.name: case for case in settlement.cases}
    return reasons(comparison, cases, settlement.suspect_dating, settlement.lineages)


def _objections(settlement: "Settlement") -> list[str]:
    from wmx.disputes.explanations import objection_text

    return [objection_text(objection) for objection in settlement.objections]


def _head(settlement: "Settlement") -> str:
    match settlement.outcome:
        case "named":
            return f"NAMED: {settlement.named} is ahead of every other claim"
        case "uncontested":
            return (
                f"UNCONTESTED: only {settlement.standing[0].name} verifies on the suspect, which "
                "does not show that this party came first; nobody is named"
            )
        case "no claim verifies":
            return "NO CLAIM VERIFIES on the suspect; nobody is named"
    return "UNDECIDED: nobody is named"


def _claim_rows(settlement: "Settlement") -> dict[str, str]:
    rows = {party.name: _claim_row(party, settlement) for party in settlement.parties}
    return rows | {"the suspect itself": _when(settlement.suspect_dating)}


def _claim_row(party: "Party", settlement: "Settlement") -> str:
    held = settlement.held[party.name]
    unclear = party.name in settlement.unclear
    word, so = ("unclear", "; so nobody is named") if unclear else ("out", "")
    if held.failure is not None:
        return f"{word}: not tested: {held.failure}{so}"
    bits = "" if _hides(party, settlement) else f"{held.bits:.1f} bits, "
    needed = f"{held.required_bits:g} needed{_left_out(party)}"
    said = f"{bits}after the penalty for all claims and models, {needed}"
    if held.verified:
        said = f"verifies: {said}"
    elif bits:
        said = f"{word}: {_why_out(party, settlement)}{so}: {said}"
    else:
        said = f"{word}: {_why_out(party, settlement)}{so}{_left_out(party)}"
    refused = "".join(f"; {reason}" for reason in party.dating.refused)
    return f"{said}; claim {_when(party.dating)}{refused}"


def _why_out(party: "Party", settlement: "Settlement") -> str:
    """Say why a claim does not verify: what it lacks, or that it has nothing."""
    from wmx.disputes.held import LEAST_BITS

    held = settlement.held[party.name]
    if held.alone >= LEAST_BITS and settlement.min_bits is not None:
        return f"does not reach the {settlement.min_bits:g} bits that were asked for (--min-bits)"
    too_few = _too_few(party, settlement)
    if too_few is not None:
        return f"cannot verify, since {too_few}"
    if party.disclosed is not None and held.alone < LEAST_BITS <= party.stated_bits:
        return f"states {party.stated_bits:.1f} bits in its evidence, and has not as many here"
    if held.bits >= LEAST_BITS:
        return "verifies only with a timestamp of its claim that is no later than the suspect's"
    if held.alone >= LEAST_BITS:
        return "verifies only without the penalty for all claims and models"
    return "does not verify"


def _too_few(party: "Party", settlement: "Settlement") -> str | None:
    """Say that an exact copy would not verify either; of secret triggers, by their number alone.

    The bits of a test depend on how many readings the suspect gave, and these may depend on what
    the triggers are.
    """
    if not _hides(party, settlement):
        return settlement.held[party.name].too_few
    from math import log2

    from wmx.disputes.held import LEAST_BITS
    from wmx.statistics.attainable import bits_of_all_hits, too_few_triggers

    trigger_slice, penalty = party.trigger_slice, log2(settlement.tried)
    n = len(trigger_slice)
    most = bits_of_all_hits(n, trigger_slice.task) - penalty if n else 0.0
    which = "undisclosed" if trigger_slice.start else ""
    return too_few_triggers(n, most, required=LEAST_BITS, penalty=penalty, which=which)


def _left_out(party: "Party") -> str:
    """Say how many triggers do not count, as ``wmx verify`` does."""
    start = party.trigger_slice.start
    if party.disclosed is not None or not start:
        return ""
    return f"; left out {start} triggers that were disclosed, of {start + len(party.trigger_slice)}"


def _when(dating: "Dating") -> str:
    if dating.time is None:
        return "without a trusted timestamp"
    margin = f"give or take {dating.accuracy.total_seconds():g} s"
    return f"dated {utc(dating.time)}, {margin}, by an authority under {dating.authority}"


def _exhibit_rows(settlement: "Settlement") -> dict[str, str]:
    rows: dict[str, str] = {}
    secret = _secret(settlement)
    for number, exhibit in enumerate(settlement.exhibits, 1):
        marks = ", ".join(
            f"{other} {exhibit.original.marks[other]}{_bits(held, other in secret)}"
            for other, held in exhibit.held.items()
            if exhibit.original.marks is not None
        )
        release, dating = exhibit.shown.release, exhibit.shown.dating
        refused = "".join(f"; {reason}" for reason in dating.refused)
        rows[f"{number}. {exhibit.party}"] = (
            f"{release.model.name}, {_when(dating)}{refused}: {marks or 'not shown'}"
        )
    return rows


def _lineage_rows(settlement: "Settlement") -> dict[str, str]:
    from wmx.disputes.explanations import lineage_text

    names = _names(settlement)
    return {
        " or ".join(sorted(names[one] for one in pair)): lineage_text(lineage, names)
        for pair, lineage in settlement.lineages.items()
    }


def _names(settlement: "Settlement") -> dict[str, str]:
    """Return names of the originals by identity; with the party, as two files may share a name."""
    return {one.identity: f"{one.original.name} of {one.party}" for one in settlement.exhibits}


def _bits(held: "Held", secret: bool) -> str:
    if held.failure:
        return " (cannot be run)"
    return "" if secret else f" ({held.bits:.1f} bits)"


def _secret(settlement: "Settlement") -> set[str]:
    """Return the parties whose triggers are secret.

    Parties choose the models that are tested, and read the result: figures would tell them the
    labels of triggers, or which of them have some property, a number at a time.
    """
    return {party.name for party in settlement.parties if party.is_secret}


def _hides(party: "Party", settlement: "Settlement") -> bool:
    """Say whether nothing is told of a party's bits on the suspect but that they do not suffice."""
    return party.is_secret and not settlement.held[party.name].verified


def _tuned_lines(tuned: "FineTuned") -> list[str]:
    from wmx.disputes.fine_tuning import RELIABILITY

    if tuned.failure is not None:
        return [f"not fine-tuned: {tuned.failure}"]
    training = tuned.training
    rows = {
        name: f"{kept.before:.1f} bits before, {kept.after:.1f} after: {kept.part:.0%} kept"
        for name, kept in tuned.kept.items()
    }
    return [
        f"fine-tuned for {training.epochs} epochs at {training.learning_rate:g} on {tuned.samples} "
        f"samples; accuracy {tuned.accuracy_before:.1%} before, {tuned.accuracy_after:.1%} after:",
        table(rows),
        f"  - nobody is named by this: {RELIABILITY}",
    ]


def _held_fields(held: "Held", hidden: bool) -> dict[str, Any]:
    return {
        "verified": held.verified,
        "bits": None if hidden else tenths(held.bits),
        "required_bits": held.required_bits,
        "hits": None if hidden else held.hits,
        "n": None if hidden else held.n,
        "failure": held.failure,
    }


def _dating_fields(dating: "Dating") -> dict[str, Any]:
    return {
        **dating_fields(dating),
        "accuracy_seconds": dating.accuracy.total_seconds(),
    }


def _exhibit_fields(exhibit: "Exhibit", secret: set[str]) -> dict[str, Any]:
    release = exhibit.shown.release
    marks = exhibit.original.marks or {}
    return {
        "model": release.model.name,
        "path": exhibit.path and str(exhibit.path),
        **digest_fields(release.model),
        "release": release.digest,
        **_dating_fields(exhibit.shown.dating),
        "marks": {
            name: {**_held_fields(held, name in secret), "mark": str(marks[name])}
            for name, held in exhibit.held.items()
        },
    }


def _lineage_fields(
    settlement: "Settlement", pair: frozenset[str], lineage: "Lineage"
) -> dict[str, Any]:
    found = {one.identity: one for one in settlement.exhibits if one.identity in pair}
    return {
        "originals": [
            {
                "party": one.party,
                "sha256": one.shown.release.model.sha256,
                "sides": lineage.sides.get(one.identity, 0),
                "families": {name: sides[one.identity] for name, sides in lineage.families.items()},
            }
            for one in found.values()
        ],
        "inputs": lineage.inputs,
        "disagreements": lineage.disagreements,
        "bits": lineage.bits,
        "nearer": None if lineage.nearer is None else found[lineage.nearer].party,
        "alike": lineage.alike,
        "failure": lineage.failure,
    }


def _tuned_fields(tuned: "FineTuned") -> dict[str, Any]:
    from wmx.disputes.fine_tuning import RELIABILITY

    return {
        "failure": tuned.failure,
        "reliability": RELIABILITY,
        "epochs": tuned.training.epochs,
        "lr": tuned.training.learning_rate,
        "samples": tuned.samples,
        "accuracy_before": tuned.accuracy_before,
        "accuracy_after": tuned.accuracy_after,
        "kept_most": tuned.kept_most,
        "marks": {
            name: {
                "bits_before": kept.before,
                "bits_after": kept.after,
                "hits_before": kept.hits_before,
                "hits_after": kept.hits_after,
                "n": kept.n,
                "part_kept": kept.part,
            }
            for name, kept in tuned.kept.items()
        },
    }
