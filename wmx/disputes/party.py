"""What a judge is given: the sides of a dispute, and their release records."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Self

from wmx.errors import CannotRunError
from wmx.protocol.claim import Claim
from wmx.protocol.release_record import Release
from wmx.protocol.timestamp import Dating, Roots, date_claim, earliest
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.check import require_about
from wmx.verification.evidence import Evidence
from wmx.watermark import Watermark


@dataclass(frozen=True)
class Shown:
    """A release record that somebody has shown.

    Attributes:
        release: the record.
        dating: what its timestamps are worth to the judge.
        claim_dating: what those of the claim in it are worth.
        model: the ONNX file that the record names; ``None`` if it was not shown.
    """

    release: Release
    dating: Dating
    claim_dating: Dating
    model: Path | None = None

    @classmethod
    def of(cls, release: Release, roots: Roots, model: Path | None = None) -> Self:
        """Return a record as somebody sees it who trusts ``roots``."""
        return cls(release, date_claim(release, roots), date_claim(release.claim, roots), model)


@dataclass(frozen=True)
class Party:
    """Who says that the suspect is his.

    Attributes:
        name: what the report calls the party.
        trigger_slice: triggers of its claim with their labels; all that are secret, or those that
            an evidence discloses.
        dating: what the claim's timestamps are worth to the judge.
        starts: among how many windows this one was chosen.
        claims_tried: how many claims the party had held against the suspect before.
        stated_bits: no more is believed of the suspect; what an evidence states.
        disclosed: when the triggers were disclosed, by the party's word; ``None`` if they are
            secret.
    """

    name: str
    trigger_slice: TriggerSlice
    dating: Dating
    starts: int = 1
    claims_tried: int = 1
    stated_bits: float = inf
    disclosed: datetime | None = None

    @classmethod
    def from_watermark(
        cls, name: str, watermark: Watermark, roots: Roots, *, start: int = 0
    ) -> Self:
        """Return the party whose secret the judge holds.

        Args:
            name: of the party.
            watermark: its secret.
            roots: certificates of the timestamp authorities that are trusted.
            start: index of the first trigger that counts; those before it were disclosed, and
                whoever has read them can have put them into a model of anybody's.

        Raises:
            CannotRunError: no trigger is left.
        """
        trigger_slice = watermark.trigger_slice(start)
        if not len(trigger_slice):
            raise CannotRunError(
                f"every trigger of the claim {name} was disclosed, and says nothing about models "
                "that were made since",
                hint="give an evidence about this suspect in place of the key: --evidence",
            )
        return cls(name, trigger_slice, date_claim(watermark.claim, roots))

    @classmethod
    def from_evidence(
        cls,
        name: str,
        evidence: Evidence,
        roots: Roots,
        *,
        published: Claim | None = None,
        suspect: Suspect,
    ) -> Self:
        """Return the party of which the judge has no more than an evidence.

        Args:
            name: of the party.
            evidence: what was read, and so is in order by itself.
            roots: certificates of the timestamp authorities that are trusted.
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
            evidence.trigger_slice,
            date_claim(claim, roots),
            starts=claim.n,
            claims_tried=evidence.claims_tried,
            stated_bits=evidence.score.bits,
            disclosed=datetime.fromisoformat(evidence.created),
        )

    def dated_by(self, records: Iterable[Shown]) -> Self:
        """Return the party with the earliest date of its claim, as it stands in records too."""
        own = [one.claim_dating for one in records if one.release.claim.digest == self.claim_digest]
        dating = earliest([self.dating, *own])
        return replace(self, dating=replace(dating, refused=self.dating.refused))

    @property
    def claim_digest(self) -> str:
        """SHA-256 of the claim's payload, hexadecimal."""
        return self.trigger_slice.claim.digest
