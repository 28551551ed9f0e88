"""A verdict, for people and for programs."""

from typing import TYPE_CHECKING, Any

from wmx._internal.text import odds, scientific
from wmx.cli.output import NOT_VERIFIED, decision_fields, table, tenths
from wmx.cli.words import dating_fields, dating_rows, digest_rows, suspect_fields
from wmx.errors import MORE_QUERIES_HINT, NAME_CLAIM_HINT, CannotRunError

if TYPE_CHECKING:
    from wmx.statistics.predictions import Predictions
    from wmx.verification.verdict import Verdict

MOST_NAMED = 5  # claims that a text lists; --json lists all
FAILED_HINT = (
    "query it as its users do, with --callable; a model that ran into a limit may need more "
    "--seconds or --memory"
)


def exit_code_of(verdict: "Verdict") -> int:
    """Return 0 if verified, 1 if not, 4 if neither is clear (:attr:`Verdict.is_answer`)."""
    if verdict.verified:
        return 0
    return NOT_VERIFIED if verdict.is_answer else CannotRunError.exit_code


def verdict_text(verdict: "Verdict") -> str:
    """Return the verdict for people."""
    from wmx.statistics.attainable import most_bits

    bits = f"{verdict.bits:.1f} bits, {verdict.required_bits:g} needed"
    rows = {"evidence": f"{bits}: {odds(verdict.bits)}"}
    tried = verdict.selection.claims_tried
    if tried > 1:
        best = "the best"
        if verdict.queries is not None and verdict.verified:
            best = "the first that verified, newest first,"
        rows["scan"] = f"{best} of {tried} claims; the penalty for that is included"
    if verdict.start:
        most = most_bits(verdict.left, verdict.classes)
        rows["left out"] = (
            f"{verdict.start} triggers that were disclosed; wmx verify --disclosed counts them "
            f"too. The {verdict.left} others give {most:.0f} bits at most"
        )
    rows |= {
        "hits": f"{verdict.hits} of {verdict.n} triggers, {verdict.classes} classes: "
        f"by chance with probability {scientific(verdict.log10_tail)}",
        "best probe": f"{verdict.best_probe} (of {verdict.probes_tried} tried)",
        **hidden_rows(verdict),
        **_score_rows(verdict),
        **_unread_rows(verdict),
        **_query_rows(verdict),
        "claim": verdict.claim,
        "owner": verdict.owner.hex(),
        **dating_rows(verdict.dating),
        "suspect": verdict.suspect.name,
        **digest_rows(verdict.suspect),
        "run by": verdict.engine,
    }
    return f"{_head(verdict)}\n{table(rows)}"


def _head(verdict: "Verdict") -> str:
    if verdict.verified:
        return "VERIFIED"
    if verdict.is_answer:
        return "NOT VERIFIED"
    if verdict.too_few is not None:
        return f"CANNOT SAY: {_lack(verdict)}\n{_hint(verdict)}"
    return f"NOT VERIFIED, and no answer yet: {_lack(verdict)}\n{_hint(verdict)}"


def _lack(verdict: "Verdict") -> str:
    """Say what the triggers lack, and how many claims predictions or a verdict."""
    reasons = [] if verdict.too_few is None else [verdict.too_few]
    tried = verdict.selection.claims_tried
    if verdict.lacking:
        what = "every trigger was sent"
        if tried > 1:
            what += f" of {len(verdict.lacking)} of {tried} claims"
        reasons.append(f"the budget ended before {what}")
    if verdict.failed is not None:
        reasons.append(f"the suspect failed in some calls, and answered others: {verdict.failed}")
    if verdict.passed_over:
        reasons.append(f"{len(verdict.passed_over)} of {tried} claims could not be tested")
    return ", and ".join(reasons)


def _hint(verdict: "Verdict") -> str:
    if verdict.too_few is not None:
        return _more_bits_hint(verdict)
    if verdict.lacking:
        return MORE_QUERIES_HINT
    return NAME_CLAIM_HINT if verdict.failed is None else FAILED_HINT


def _more_bits_hint(verdict: "Verdict") -> str:
    """Say what may still give an answer where too few triggers are left."""
    from wmx.statistics.attainable import attainable_bits

    ways = ["require fewer bits with --min-bits", "name another claim with --claim"]
    everything = verdict.start + verdict.left
    if attainable_bits(verdict.score, everything) >= verdict.required_bits:
        ways.append(
            f"count all {everything} triggers with --disclosed, for a model certainly made before "
            "they were disclosed"
        )
    return "; or ".join(ways)


def _outputs_read(verdict: "Verdict") -> "list[Predictions]":
    """Return the predictions of the outputs as they are, without readings of parts of them.

    A reading is named after the output, with words more: ``scores from column 3``.
    """
    plain = {
        probe.output: found
        for probe, found in verdict.predictions.items()
        if probe.is_plain and not probe.view
    }
    return [
        found
        for name, found in plain.items()
        if not any(name.startswith(f"{other} ") for other in plain)
    ]


def _numbers_of_scores(verdict: "Verdict") -> list[int]:
    """Return how many scores the outputs that were read have for an input, in ascending order."""
    return sorted({found.columns for found in _outputs_read(verdict)})


def _score_rows(verdict: "Verdict") -> dict[str, str]:
    """Return what the outputs hold where it does not fit the claim's classes and nothing verified.

    Such a model is tested all the same, as classes may be added, merged or renamed; but it is
    likelier another model than the one that was meant.
    """
    found, classes = _numbers_of_scores(verdict), verdict.classes
    if verdict.verified:
        return {}
    meant = "is it the model that was meant?"
    if classes not in found:
        some = ", ".join(map(str, found[:MOST_NAMED])) + (" ..." if found[MOST_NAMED:] else "")
        return {"scores": f"{some} for each input, and the claim has {classes} classes: {meant}"}
    if all((output.top >= classes).any() for output in _outputs_read(verdict)):
        return {"scores": f"classes that are none of the claim's {classes}: {meant}"}
    return {}


def hidden_rows(verdict: "Verdict") -> dict[str, str]:
    """Say where a file hides the mark that it computes, if it does."""
    if verdict.hidden_in is None:
        return {}
    return {
        "hidden": "the file computes the mark and hides it from its outputs; seen by the view "
        f"{verdict.hidden_in!r}, at {verdict.score.best.probe.output!r}"
    }


def _unread_rows(verdict: "Verdict") -> dict[str, str]:
    """Say what nobody has looked at in full, where nothing verified."""
    if verdict.verified:
        return {}
    rows = {}
    if verdict.unseen_views:
        rows["not seen"] = (
            "the file was not looked into, or not in every view: it is too slow, ends the process "
            "that does so, or is of a kind that is not looked into; --seconds gives more time"
        )
    if not verdict.unread_outputs:
        return rows
    outputs = "1 output" if verdict.unread_outputs == 1 else f"{verdict.unread_outputs} outputs"
    return rows | {
        "not read": f"{outputs}, in full or in part; --output NAME reads one alone, for 16 bits: "
        "of use where there are too many, not where one is too large"
    }


def _query_rows(verdict: "Verdict") -> dict[str, str]:
    """Return how many inputs an API was sent, and which claims it was not queried for in full."""
    rows = {}
    if verdict.queries is not None:
        rows["queries"] = f"{verdict.queries} inputs sent"
        if verdict.budget_ended and verdict.n < verdict.left:
            rows["queries"] += f"; {verdict.n} of this claim's {verdict.left} triggers were sent"
        elif verdict.budget_ended:
            rows["queries"] += (
                "; every trigger was sent unchanged, and the budget (--max-queries) ended before "
                "all other probes were tried"
            )
    others = [digest for digest in verdict.lacking if digest != verdict.claim]
    if others:
        more = len(others) - MOST_NAMED
        rows["not queried in full"] = ", ".join(others[:MOST_NAMED]) + (
            f" and {more} more, which --json names" if more > 0 else ""
        )
    for number, (digest, reason) in enumerate(verdict.passed_over.items(), 1):
        if number <= MOST_NAMED:
            rows[f"skipped {number}"] = f"{digest}: {reason}"
    return rows


def verdict_fields(verdict: "Verdict") -> dict[str, Any]:
    """Return the verdict for programs."""
    from wmx.statistics.hits import fraction_text

    return {
        **decision_fields(verdict),
        "start": verdict.start,
        "classes": verdict.classes,
        "scores": _numbers_of_scores(verdict),
        "unread_outputs": verdict.unread_outputs,
        "unseen_views": verdict.unseen_views,
        "tail": fraction_text(verdict.tail),
        "log10_tail": verdict.log10_tail,
        "claims_tried": verdict.selection.claims_tried,
        "claim": verdict.claim,
        "owner": verdict.owner.hex(),
        **dating_fields(verdict.dating),
        **suspect_fields(verdict.suspect),
        "engine": verdict.engine,
        "best_way": verdict.best_probe,
        "experts": {name: tenths(bits) for name, bits in verdict.experts.items()},
        "ways_tried": verdict.probes_tried,
        "hidden_in": verdict.hidden_in,
        "triggers_left": verdict.left,
        "queries": verdict.queries,
        "budget_ended": verdict.budget_ended,
        "claims_not_asked_in_full": list(verdict.lacking),
        "claims_passed_over": dict(verdict.passed_over),
        "failed": verdict.failed,
        **_error_fields(verdict),
    }


def _error_fields(verdict: "Verdict") -> dict[str, Any]:
    """Return the object ``error`` that goes with exit code 4."""
    if verdict.verified or verdict.is_answer:
        return {}
    return {"error": {"message": _lack(verdict), "hint": _hint(verdict)}}
