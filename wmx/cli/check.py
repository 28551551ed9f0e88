"""``wmx check``: is an evidence file right?  No secret is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx._internal.text import odds, scientific
from wmx.cli.common import (
    DeviceChoice,
    DeviceOption,
    ForceOption,
    JsonOption,
    MemoryOption,
    MinBitsOption,
    ReportOption,
    RootsOption,
    SecondsOption,
    WeightsOption,
    answer,
    held_to_limits,
    never_weights,
    null_stream,
    suspect_limits,
    table,
    trusted_roots,
)
from wmx.cli.output import NOT_VERIFIED
from wmx.cli.outputs import prepare_report
from wmx.cli.verdict_words import hidden_rows
from wmx.cli.words import (
    dating_fields,
    dating_rows,
    digest_rows,
    suspect_fields,
    trigger_slice_text,
)

if TYPE_CHECKING:
    from wmx.verification.check import Checked


@held_to_limits
def check(
    evidence: Annotated[Path, typer.Argument(metavar="EVIDENCE.json", help="The evidence file.")],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.onnx",
            help="The suspect: run it on the disclosed triggers, to repeat the predictions.",
        ),
    ] = None,
    weights: WeightsOption = None,
    claim: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The published claim, to compare with that in the evidence file."
        ),
    ] = None,
    min_bits: MinBitsOption = None,
    roots: RootsOption = None,
    report: ReportOption = None,
    device: DeviceOption = DeviceChoice.auto,
    seconds: SecondsOption = None,
    memory: MemoryOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Check an evidence file.

    Exit 0 if the model gives enough bits here too, 1 if not (or without --model), 3 if the file is
    broken.
    """
    from wmx.protocol.claim import Claim
    from wmx.verification import check
    from wmx.verification.evidence import Evidence

    prepare_report(report, (evidence, model, claim, roots, *(weights or [])), force=force)
    read = Evidence.load(evidence)
    given = Claim.load(claim) if claim else None
    checked = check.check(
        read,
        model=model,
        claim=given,
        min_bits=min_bits,
        roots=trusted_roots(roots, [read.claim, given or read.claim]),
        device=device.value,
        limits=suspect_limits(seconds, memory),
        weights=weights or [],
        apart_from=never_weights(None, evidence, claim, roots, report),
    )
    text, fields = _text(checked), _fields(checked)
    if report is not None:
        from wmx.report.ownership import report_of_check
        from wmx.report.reproduce import Files

        files = Files(claim, evidence, roots, min_bits, weights=weights or ())
        report_of_check(checked, files, stream=null_stream()).write(report, force=force)
        text += f"\n{table({'report': str(report)})}"
        fields |= {"report": str(report)}
    exit_code = 0 if checked.verified else NOT_VERIFIED
    answer("check", text, fields, as_json=json, exit_code=exit_code)
    raise typer.Exit(exit_code)


def _text(checked: "Checked") -> str:
    evidence, score = checked.evidence, checked.evidence.score
    rows = {
        "evidence": f"{checked.bits:.1f} bits, {checked.required_bits:g} needed: "
        f"{odds(checked.bits)}",
        "stated": f"{score.bits:.1f} bits, {score.hits} of {score.n} hits: "
        f"by chance with probability {scientific(score.log10_tail)}",
    }
    if checked.repeated is not None:
        again = checked.repeated
        rows["repeated"] = f"{again.bits:.1f} bits, {again.hits} of {again.n} hits: {again.engine}"
        rows |= hidden_rows(again)
    rows |= {
        "triggers": f"{trigger_slice_text(evidence)}, each one found in the claim's commitment",
        "claim": evidence.claim.digest,
        "owner": evidence.claim.owner.hex(),
        **dating_rows(checked.dating),
        "about": evidence.suspect.name,
        **digest_rows(evidence.suspect),
    }
    unchecked = "\n".join(f"  - {sentence}" for sentence in checked.unchecked)
    head = checked.heading
    if not checked.sufficient and checked.too_few is not None:
        head = f"{head}: {checked.too_few}\n{_hint(checked)}"
    return f"{head}\n{table(rows)}\nnot checked:\n{unchecked}"


def _hint(checked: "Checked") -> str:
    """Say what may still give an answer where the disclosed triggers are too few."""
    hint = (
        "ask the owner for an evidence file with more triggers, or require fewer bits (--min-bits)"
    )
    if checked.dating.refused:
        hint = (
            "give the root certificate of the timestamp authority with --roots, as a claim with a "
            f"trusted timestamp needs fewer bits; or {hint}"
        )
    return hint


def _fields(checked: "Checked") -> dict[str, Any]:
    evidence, score = checked.evidence, checked.evidence.score
    again = checked.repeated
    return {
        "verified": checked.verified,
        "sufficient": checked.sufficient,
        "bits": checked.bits,
        "required_bits": checked.required_bits,
        "stated": {"bits": score.bits, "hits": score.hits, "n": score.n},
        "repeated": again
        and {
            "bits": again.bits,
            "hits": again.hits,
            "n": again.n,
            "engine": again.engine,
            "hidden_in": again.hidden_in,
        },
        "start": evidence.trigger_slice.start,
        "count": len(evidence.trigger_slice),
        "claims_tried": evidence.selection.claims_tried,
        "claim": evidence.claim.digest,
        "owner": evidence.claim.owner.hex(),
        **dating_fields(checked.dating),
        **suspect_fields(evidence.suspect),
        "unchecked": checked.unchecked,
    }
