"""``wmx verify``: is this model mine?"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx.cli.common import (
    JsonOption,
    KeyOption,
    MemoryOption,
    SecondsOption,
    answer,
    load_owner,
    store,
    suspect_process,
    table,
)
from wmx.cli.output import NOT_VERIFIED, decision_fields

if TYPE_CHECKING:
    from wmx.verdict import Verdict
    from wmx.watermark import Watermark


class DeviceChoice(StrEnum):
    """Devices, as the command line spells them."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    tensorrt = "tensorrt"


def verify(
    suspect: Annotated[Path, typer.Argument(metavar="SUSPECT.onnx")],
    claim: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="One claim; all of the store's if not given."),
    ] = None,
    key: KeyOption = None,
    triggers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The secret images of a claim over your own images."),
    ] = None,
    min_bits: Annotated[
        float | None,
        typer.Option(help="Bits to ask for instead of 128 (64 with a trusted timestamp)."),
    ] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to run it.")] = DeviceChoice.auto,
    seconds: SecondsOption = None,
    memory: MemoryOption = None,
    json: JsonOption = False,
) -> None:
    """Say whether a model carries your watermark.  Exit 0 if it does, 1 if not."""
    with suspect_process(seconds, memory) as sandbox:
        from wmx.suspect import open_suspect
        from wmx.verdict import verify_any

        watermarks = _watermarks(claim, key, triggers)
        asked = open_suspect(suspect, device.value, sandbox=sandbox)
        verdict = verify_any(asked, watermarks, min_bits=min_bits)
    exit_code = 0 if verdict.verified else NOT_VERIFIED
    answer(
        "verify", verdict_text(verdict), verdict_fields(verdict), as_json=json, exit_code=exit_code
    )
    raise typer.Exit(exit_code)


def verdict_text(verdict: "Verdict") -> str:
    """Return the verdict for people."""
    word = "VERIFIED" if verdict.verified else "NOT VERIFIED"
    bits = f"{verdict.bits:.1f} bits, {verdict.required_bits:g} needed"
    rows = {"evidence": f"{bits}: {odds(verdict.bits)}"}
    if verdict.claims_tried > 1:
        rows["scan"] = f"the best of {verdict.claims_tried} claims; their number is paid for"
    rows |= {
        "hits": f"{verdict.hits} of {verdict.n} triggers, {verdict.classes} classes: "
        f"by chance with probability {scientific(verdict.log10_tail)}",
        "best way": f"{verdict.best_way} (of {verdict.ways_tried} tried)",
        "claim": verdict.claim,
        "owner": verdict.owner.hex(),
        "suspect": verdict.suspect,
        "sha256": verdict.suspect_sha256 or "none",
        "run by": verdict.engine,
    }
    return f"{word}\n{table(rows)}"


def odds(bits: float) -> str:
    """Return in plain words how rare the evidence is for a model made without the labels."""
    if bits <= 0:
        return "no evidence at all"
    if bits < 20:
        return f"a model without the mark gets this far once in {2**bits:,.0f} cases or less"
    return f"a model without the mark gets this far once in 2^{bits:.0f} cases or less"


def scientific(log10: float) -> str:
    """Spell a probability that may be too small for a float."""
    exponent = int(log10 // 1)
    return f"{10 ** (log10 - exponent):.2g}e{exponent:d}" if exponent < -3 else f"{10**log10:.3f}"


def verdict_fields(verdict: "Verdict") -> dict[str, Any]:
    """Return the verdict for programs."""
    return {
        **decision_fields(verdict),
        "classes": verdict.classes,
        "tail": [str(verdict.tail.numerator), str(verdict.tail.denominator)],
        "log10_tail": verdict.log10_tail,
        "claims_tried": verdict.claims_tried,
        "claim": verdict.claim,
        "owner": verdict.owner.hex(),
        "suspect": verdict.suspect,
        "suspect_sha256": verdict.suspect_sha256,
        "engine": verdict.engine,
        "best_way": verdict.best_way,
        "experts": verdict.experts,
        "ways_tried": verdict.ways_tried,
    }


def _watermarks(
    claim_path: Path | None, key_path: Path | None, triggers: Path | None
) -> "list[Watermark]":
    """Return the watermarks to hold against the suspect."""
    from wmx.claim import Claim
    from wmx.errors import UsageError
    from wmx.trigger_file import load_images
    from wmx.watermark import Watermark

    if claim_path is None:
        if triggers is not None:
            raise UsageError("--triggers belongs to one claim", hint="name it with --claim")
        return store().watermarks(load_owner(key_path))
    claim = Claim.load(claim_path)
    owner = load_owner(key_path)
    if triggers is not None:
        return [Watermark.open(claim, owner, images=load_images(triggers))]
    return [store().open(claim, owner)]
