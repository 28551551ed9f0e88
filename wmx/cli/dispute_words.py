"""What ``wmx dispute`` says, for people and for programs."""

from typing import TYPE_CHECKING, Any

from wmx.cli.output import table
from wmx.cli.words import dating_fields, utc

if TYPE_CHECKING:
    from wmx.disputes.fine_tuning import FineTuned
    from wmx.disputes.party import Party
    from wmx.disputes.settling import Held, Original, Settlement

SILENT = (
    "Nothing follows from what a party did not show.  A timestamp from before the model was given "
    "away is what settles a dispute; see docs/disputes.md."
)


def settlement_text(settled: "Settlement", tuned: "FineTuned | None") -> str:
    """Return the outcome in plain words."""
    from wmx.disputes.reasons import reasons

    parts = [_head(settled), "on the suspect:", table(_claim_rows(settled))]
    if settled.originals:
        parts += ["originals:", table(_original_rows(settled.originals))]
    for comparison in settled.comparisons:
        found = reasons(comparison, settled.cases)
        parts.append(
            f"{' against '.join(comparison.parties)}: {comparison.ahead or 'nobody'} ahead"
        )
        parts += [f"  - {reason}" for reason in found]
    if tuned is not None:
        parts += _tuned_lines(tuned)
    if settled.outcome == "undecided":
        parts.append(SILENT)
    return "\n".join(parts)


def settlement_fields(settled: "Settlement", tuned: "FineTuned | None") -> dict[str, Any]:
    """Return the outcome for programs."""
    from wmx.disputes.reasons import reasons

    return {
        "outcome": settled.outcome,
        "named": settled.named,
        "suspect": settled.suspect,
        "suspect_sha256": settled.suspect_sha256,
        "suspect_external": dict(settled.suspect_external),
        "claims_times_models": settled.tried,
        "parties": [
            {
                "name": party.name,
                "claim": party.window.claim.digest,
                "owner": party.window.claim.owner.hex(),
                "triggers": len(party.window),
                **_held_fields(settled.held[party.name]),
                **dating_fields(party.dating),
                "accuracy_seconds": party.dating.accuracy.total_seconds(),
                "original": _original_fields(settled.originals.get(party.name)),
            }
            for party in settled.parties
        ],
        "comparisons": [
            {
                "parties": list(comparison.parties),
                "by_timestamps": comparison.by_timestamps,
                "by_originals": comparison.by_originals,
                "ahead": comparison.ahead,
                "reasons": reasons(comparison, settled.cases),
            }
            for comparison in settled.comparisons
        ],
        "fine_tuning": tuned and _tuned_fields(tuned),
    }


def _head(settled: "Settlement") -> str:
    match settled.outcome:
        case "named":
            return f"NAMED: {settled.named} is ahead of every other claim"
        case "uncontested":
            return (
                f"UNCONTESTED: only {settled.standing[0].name} verifies on the suspect, which does "
                "not say that it came first; nobody is named"
            )
        case "no claim verifies":
            return "NO CLAIM VERIFIES on the suspect; nobody is named"
    return "UNDECIDED: nobody is named"


def _claim_rows(settled: "Settlement") -> dict[str, str]:
    return {party.name: _claim_row(party, settled.held[party.name]) for party in settled.parties}


def _claim_row(party: "Party", held: "Held") -> str:
    if held.failure is not None:
        return f"out: {held.failure}"
    word = "verifies" if held.verified else "out, does not verify"
    dating = party.dating
    when = "no trusted timestamp"
    if dating.time is not None:
        margin = f"give or take {dating.accuracy.total_seconds():g} s"
        when = f"dated {utc(dating.time)}, {margin}, by an authority under {dating.authority}"
    refused = "".join(f"; {reason}" for reason in dating.refused)
    return f"{word}: {held.bits:.1f} bits, {held.required_bits:g} needed; {when}{refused}"


def _original_rows(originals: "dict[str, Original]") -> dict[str, str]:
    return {
        name: f"{original.path}: "
        + ", ".join(f"{other} {held.mark} ({_bits(held)})" for other, held in original.held.items())
        for name, original in originals.items()
    }


def _bits(held: "Held") -> str:
    return "cannot be asked" if held.failure else f"{held.bits:.1f} bits"


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
        f"  - this names nobody: {RELIABILITY}",
    ]


def _held_fields(held: "Held") -> dict[str, Any]:
    return {
        "verified": held.verified,
        "bits": held.bits,
        "required_bits": held.required_bits,
        "hits": held.hits,
        "n": held.n,
        "failure": held.failure,
    }


def _original_fields(original: "Original | None") -> dict[str, Any] | None:
    if original is None:
        return None
    marks = {
        name: {**_held_fields(held), "mark": str(held.mark)} for name, held in original.held.items()
    }
    return {"path": str(original.path), "sha256": original.sha256, "marks": marks}


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
