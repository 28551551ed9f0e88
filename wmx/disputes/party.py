"""One side of a dispute: a claim, and the triggers of it that the judge knows."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Self

from wmx.checking import require_about
from wmx.claim import Claim
from wmx.evidence import Evidence
from wmx.suspect import Suspect
from wmx.timestamp import Dating, Roots, date_claim
from wmx.watermark import Watermark
from wmx.window import Window


@dataclass(frozen=True)
class Party:
    """Who says that the suspect is his.

    Attributes:
        name: what the report calls the party.
        window: triggers of its claim with their labels; all of them, or those that an evidence
            discloses.
        dating: what the claim's timestamps are worth to the judge.
        original: the model that the party calls its own, an ONNX file; ``None`` without one.
        starts: among how many windows this one was chosen.
        claims_tried: how many claims the party had held against the suspect before.
        stated_bits: no more is believed of the suspect; what an evidence states.
    """

    name: str
    window: Window
    dating: Dating
    original: Path | None = None
    starts: int = 1
    claims_tried: int = 1
    stated_bits: float = inf

    @classmethod
    def from_watermark(
        cls, name: str, watermark: Watermark, roots: Roots, original: Path | None = None
    ) -> Self:
        """Return the party whose secret the judge holds."""
        return cls(name, watermark.window(), date_claim(watermark.claim, roots), original)

    @classmethod
    def from_evidence(
        cls,
        name: str,
        evidence: Evidence,
        roots: Roots,
        original: Path | None = None,
        *,
        published: Claim | None = None,
        suspect: Suspect,
    ) -> Self:
        """Return the party of which the judge has no more than an evidence.

        Args:
            name: of the party.
            evidence: what was read, and so is in order by itself.
            roots: certificates of the timestamp authorities that are trusted.
            original: the party's.
            published: the same claim, whose timestamps count too.
            suspect: in dispute.

        Raises:
            IntegrityError: the evidence is about another file.
        """
        require_about(evidence, suspect.sha256, suspect.external, f"the suspect of {name}")
        claim = evidence.claim
        if published is not None:
            claim = claim.dated_by_both(published)
        return cls(
            name,
            evidence.window,
            date_claim(claim, roots),
            original,
            starts=claim.n,
            claims_tried=evidence.claims_tried,
            stated_bits=evidence.weight.bits,
        )
