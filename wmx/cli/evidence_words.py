"""An evidence file that was written, for people and for programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmx.cli.output import table
from wmx.cli.words import command_line, trigger_slice_text

if TYPE_CHECKING:
    from wmx.verification.evidence import Evidence

LAST_EVIDENCE = (
    "The triggers that are left cannot give that many bits again: this was the last evidence "
    "file of this claim, unless fewer bits are required (--min-bits, or a dated claim).  Mark your "
    "next model with a new claim and more triggers (-n)."
)


def proof_text(proof: "Evidence", path: Path, suspect: str, claim: Path | None) -> str:
    """Return, for people, what was disclosed and how others check it.

    Args:
        proof: what was written.
        path: of the evidence file.
        suspect: path of the model.
        claim: path of the claim, if it was named.
    """
    named = () if claim is None else ("--claim", claim)
    rows = {
        "file": str(path),
        "disclosed": f"triggers {trigger_slice_text(proof)}; they are spent",
        "disclosed bits": f"{proof.score.bits:.1f}, including the penalty for choosing the "
        "first trigger",
        "check": command_line("wmx", "check", path, "--model", suspect, *named),
    }
    text = table(rows)
    return text if more_can_be_made(proof) else f"{text}\n{LAST_EVIDENCE}"


def more_can_be_made(proof: "Evidence") -> bool:
    """Say whether the triggers that are left can give the required bits once more."""
    from wmx.statistics.attainable import bits_of_all_hits

    claim, trigger_slice = proof.claim, proof.trigger_slice
    left = claim.n - trigger_slice.start - len(trigger_slice)
    most = bits_of_all_hits(left, claim.task) - proof.selection.penalty
    return most >= float(proof.required_bits)


def proof_fields(proof: "Evidence", path: Path) -> dict[str, Any]:
    """Return the same for programs.

    Args:
        proof: what was written.
        path: of the evidence file.
    """
    return {
        "path": str(path),
        "bits": proof.score.bits,
        "hits": proof.score.hits,
        "start": proof.trigger_slice.start,
        "count": len(proof.trigger_slice),
        "triggers_left": proof.claim.n - proof.trigger_slice.start - len(proof.trigger_slice),
        "another_possible": more_can_be_made(proof),
    }
