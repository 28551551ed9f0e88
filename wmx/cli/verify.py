"""``wmx verify``: is this model mine?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wmx._internal.text import printable
from wmx.cli.common import (
    DeviceChoice,
    DeviceOption,
    ForceOption,
    JsonOption,
    KeyOption,
    MemoryOption,
    MinBitsOption,
    ReportOption,
    RootsOption,
    SecondsOption,
    TriggersOption,
    WeightsOption,
    answer,
    held_to_limits,
    key_file,
    never_weights,
    null_stream,
    suspect_limits,
    table,
    trusted_roots,
)
from wmx.cli.evidence_words import proof_fields, proof_text
from wmx.cli.held_claims import (
    owner_for,
    require_one_claim,
    to_be_signed,
    watermarks_to_hold,
)
from wmx.cli.output import error_fields, print_error, warn
from wmx.cli.outputs import prepare_output, prepare_report
from wmx.cli.suspects import Named, getting_ready
from wmx.cli.verdict_words import exit_code_of, verdict_fields, verdict_text
from wmx.errors import StoppedError, UsageError, WmxError
from wmx.protocol.file_kind import EVIDENCE
from wmx.suspect.overrides import Overrides

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.verification.reveal import Reveal

MOST_DIGITS = 9  # of a number of triggers; Python refuses to read thousands of them
NO_REPORT = (
    "\nNor was a report: it would show which secret triggers were hit, under the name of one to be "
    "sent.  For a report for you alone leave out --evidence."
)


@held_to_limits
def verify(
    suspect: Annotated[
        str | None,
        typer.Argument(
            metavar="SUSPECT",
            help="ONNX file, or address of an API: https://HOST/v2/models/NAME.",
            show_default=False,
        ),
    ] = None,
    claim: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Claim to test (default: all claims in your store); --evidence needs it where "
            "several fit the model.",
        ),
    ] = None,
    key: KeyOption = None,
    triggers: TriggersOption = None,
    weights: WeightsOption = None,
    min_bits: MinBitsOption = None,
    roots: RootsOption = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a signed evidence file for others; it discloses triggers, which are then "
            "spent: they no longer count for you.",
        ),
    ] = None,
    reveal: Annotated[
        str | None,
        typer.Option(
            metavar="enough|all|N",
            help="How many triggers the evidence file discloses (default: enough to verify).",
        ),
    ] = None,
    disclosed: Annotated[
        bool,
        typer.Option(
            "--disclosed",
            help="Also count triggers that earlier evidence files disclosed; valid only for a "
            "model made before these.",
        ),
    ] = False,
    report: ReportOption = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=NUMBER",
            help="Fill an input that takes no trigger with this number, such as --input alpha=1; "
            "penalty: 20 bits, and 4 per character of NAME=NUMBER; repeatable.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Read only this output; penalty: 16 bits.")
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(
            "--callable",
            metavar="package.module:function",
            help="Query a Python function: float32 [n, *shape] in, scores [n, C] or class numbers "
            "[n] out.",
        ),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="File with a bearer token for the API."),
    ] = None,
    max_queries: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of inputs sent to the API or the function (default: 2000)."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Maximum number of inputs sent per second (default: no limit)."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds to wait for each response of the API (default: 30)."),
    ] = None,
    device: DeviceOption = DeviceChoice.auto,
    seconds: SecondsOption = None,
    memory: MemoryOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Verify whether a model bears your watermark.  Exit 0 if it does, 1 if not.

    An API or a function is queried one trigger at a time, for the newest claim first, until one
    verifies; the claims share --max-queries.

    Exit 4 if there is no answer: the model or a claim could not be tested to the end, the queries
    ran out, or too few triggers are left.  Whoever has no owner key checks evidence: wmx check.
    """
    how_many = _reveal(reveal)
    overrides = Overrides.parse(inputs or [], output)
    named = Named(suspect, function, overrides, token, weights or [], max_queries, rate, timeout)
    read = (named.path, claim, triggers, roots, token, *(weights or []))
    if evidence is not None:
        if named.path is None:
            raise UsageError(
                "--evidence is only for an ONNX file, which others can run too",
                hint="leave out --evidence",
            )
        prepare_output("--evidence", evidence, EVIDENCE, read, force=force, key=key)
    elif reveal is not None:
        raise UsageError("--reveal is only for an evidence file", hint="name it with --evidence")
    prepare_report(report, (*read, evidence), force=force, key=key)

    limits = suspect_limits(seconds, memory)
    never = never_weights(key, claim, triggers, roots, evidence, report)
    with getting_ready(named, device.value, limits, never) as opened:
        from wmx.verification.ledger import Ledger
        from wmx.verification.scan import best_match

        owner = owner_for(claim, key)

        def spent(claim: "Claim") -> int:
            return 0 if disclosed else Ledger(key_file(key), claim).next_start()

        watermarks, unprepared = watermarks_to_hold(claim, owner, triggers, key)
        asked = opened()
        if evidence is not None:
            require_one_claim(asked, watermarks, "an evidence file")
        trusted = trusted_roots(roots, (one.claim for one in watermarks))
        watermark, verdict = best_match(
            asked,
            watermarks,
            min_bits=min_bits,
            roots=trusted,
            disclosed=spent,
            unprepared=unprepared,
        )
        text, fields, proof = verdict_text(verdict), verdict_fields(verdict), None
        failure: WmxError | None = None
        if evidence is not None and verdict.verified:
            from wmx.verification.prove import prove

            try:
                proof = prove(
                    asked,
                    to_be_signed(watermark, trusted),
                    owner,
                    evidence,
                    Ledger(key_file(key), watermark.claim),
                    required_bits=verdict.required_bits,
                    claims_tried=verdict.selection.claims_tried,
                    reveal=how_many,
                    force=force,
                )
            except KeyboardInterrupt as stop:
                if not str(stop):
                    raise
                raise StoppedError(f"interrupted; {stop}") from None
            except WmxError as error:  # the verdict stands, and was paid for in time
                failure = error
                text += "\nThe evidence could not be made, as the error says."
                fields |= {"evidence": None} | error_fields(error)
            else:
                text += f"\n{proof_text(proof, evidence, str(named.path), claim)}"
                fields |= {"evidence": proof_fields(proof, evidence)}
        elif evidence is not None:
            text += "\nNo evidence file was written, and no trigger was disclosed."
            fields |= {"evidence": None}
    if report is not None and evidence is not None and proof is None:
        text += NO_REPORT
        fields |= {"report": None}
    elif report is not None:
        from wmx.report.ownership import report_of_verdict
        from wmx.report.reproduce import Files

        files = Files(claim, evidence, roots, min_bits, named.words, weights or ())
        written: Path | None = report
        try:
            page = report_of_verdict(verdict, watermark, files, proof=proof, stream=null_stream())
            page.write(report, force=force)
        except (WmxError, MemoryError) as error:
            if proof is None:
                raise
            written = None  # the evidence exists, and its triggers are spent
            warn(
                f"the report could not be written: {error or 'out of memory'}; "
                f"the evidence file {evidence} was written, and its triggers are spent"
            )
        text += f"\n{_report_row(written, is_private=proof is None)}"
        fields |= {"report": written and str(written)}
    exit_code = exit_code_of(verdict)
    if failure is not None:
        exit_code = print_error("verify", failure, as_json=False)
    answer("verify", text, fields, as_json=json, exit_code=exit_code)
    raise typer.Exit(exit_code)


def _report_row(path: Path | None, *, is_private: bool) -> str:
    private = " (for you alone: it shows which secret triggers were hit)" if is_private else ""
    return table({"report": "not written" if path is None else f"{path}{private}"})


def _reveal(option: str | None) -> "Reveal":
    match option:
        case None | "enough":
            return "enough"
        case "all":
            return "all"
    if not (option.isascii() and option.isdigit() and len(option) <= MOST_DIGITS):
        raise UsageError(
            f"--reveal is {printable(option, 40)!r}, expected enough, all or a number of triggers"
        )
    return int(option)
