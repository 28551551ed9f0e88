"""What a judge is given: the parties of a dispute, and their release records."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Self

from wmx.protocol.claim import Claim
from wmx.protocol.dating import Dating, earliest, made_by_own_word
from wmx.protocol.release_record import Release
from wmx.protocol.timestamp import Roots, date_claim
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.check import require_about
from wmx.verification.evidence import Evidence
from wmx.verification.selection import NO_SELECTION, Selection
from wmx.verification.verdict import bits_to_ask
from wmx.watermark import Watermark


@dataclass(frozen=True)
class Shown:
    """A release record that somebody has shown.

    Attributes:
        release: the record.
        dating: what its timestamps prove to the judge.
        claim_dating: what those of the claim in it prove.
        model: the ONNX file that the record names; ``None`` if it was not shown.
    """

    release: Release
    dating: Dating
    claim_dating: Dating
    model: Path | None = None

    @classmethod
    def of(cls, release: Release, roots: Roots, model: Path | None = None) -> Self:
        """Date a record and the claim in it.

        Args:
            release: the record.
            roots: root certificates that the judge trusts.
            model: the ONNX file that the record names, if it was shown.
        """
        return cls(release, date_claim(release, roots), date_claim(release.claim, roots), model)

    @property
    def made(self) -> Dating:
        """When the record was made, at the earliest, as its signer admits."""
        return made_by_own_word(self.release.created, self.dating)


@dataclass(frozen=True)
class Party:
    """Somebody who claims that the suspect is their model.

    Attributes:
        name: what the report calls the party.
        trigger_slice: triggers of its claim with their labels: all that are secret, or those that
            an evidence discloses.
        dating: what the claim's timestamps prove to the judge.
        selection: what its claim and trigger slice were chosen from, as the party states.
        stated_bits: what its evidence states; never more bits are counted on the suspect.
        disclosed: when the triggers were disclosed, as the party states; ``None`` if they are
            secret.
        failure: why its claim cannot be tested on any model; ``None`` if it can.
    """

    name: str
    trigger_slice: TriggerSlice
    dating: Dating
    selection: Selection = NO_SELECTION
    stated_bits: float = inf
    disclosed: datetime | None = None
    failure: str | None = None

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
                whoever has read them can train any model on them.
        """
        trigger_slice = watermark.trigger_slice(start)
        if not len(trigger_slice):
            return cls.untested(
                name,
                watermark,
                roots,
                "every trigger was disclosed, and proves nothing about models that were made since "
                "(give an evidence file about this suspect instead of the key: --evidence)",
            )
        return cls(name, trigger_slice, date_claim(watermark.claim, roots))

    @classmethod
    def untested(cls, name: str, watermark: Watermark, roots: Roots, failure: str) -> Self:
        """Return a party none of whose triggers can be used.

        No party ends the dispute of the others with that, and nobody is named meanwhile.

        Args:
            name: of the party.
            watermark: its secret.
            roots: certificates of the timestamp authorities that are trusted.
            failure: the reason.
        """
        none = watermark.trigger_slice(watermark.claim.n)
        return cls(name, none, date_claim(watermark.claim, roots), failure=failure)

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
        """Return the party of which the judge has only an evidence.

        Args:
            name: of the party.
            evidence: already checked, as loading does.
            roots: certificates of the timestamp authorities that are trusted.
            published: the same claim as published; its timestamps count too.
            suspect: the model in dispute.

        Raises:
            IntegrityError: the evidence is about another file.
        """
        require_about(evidence, suspect.reference, f"the suspect of {name}")
        claim = evidence.claim
        if published is not None:
            claim = claim.dated_by_both(published)
        return cls(
            name,
            evidence.trigger_slice,
            date_claim(claim, roots),
            selection=evidence.selection,
            stated_bits=evidence.score.bits,
            disclosed=datetime.fromisoformat(evidence.created),
        )

    def dated_by(self, records: Iterable[Shown]) -> Self:
        """Return the party with the earliest date of its claim, including its copies in records."""
        own = [one.claim_dating for one in records if one.release.claim.digest == self.claim_digest]
        dating = earliest([self.dating, *own])
        return replace(self, dating=replace(dating, refused=self.dating.refused))

    def required_bits(self, min_bits: float | None, model: Dating) -> float:
        """Return the bits that its claim needs to verify on a model.

        A timestamp later than one of the model counts for nothing: 64 bits are enough only where
        the claim could not be made to fit the model.

        Args:
            min_bits: required instead of 128, or 64 with a trusted timestamp.
            model: when the model existed, as far as that was shown.
        """
        older = self.dating.is_trusted and not model.is_before(self.dating)
        return bits_to_ask(min_bits, trusted_timestamp=older)

    @property
    def is_secret(self) -> bool:
        """Whether its triggers are secret; nobody is told how many of these a model answers."""
        return self.disclosed is None

    @property
    def claim_made(self) -> Dating:
        """When its claim was made, at the earliest, as the party admits."""
        return made_by_own_word(self.trigger_slice.claim.created, self.dating)

    @property
    def claim_digest(self) -> str:
        """SHA-256 of the claim's payload, hexadecimal."""
        return self.trigger_slice.claim.digest
