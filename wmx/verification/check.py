"""Checking evidence without any secret: what it shows, and what it does not (docs/evidence.md)."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from wmx.errors import IntegrityError
from wmx.protocol.claim import Claim
from wmx.protocol.timestamp import Dating, Roots, date_claim
from wmx.suspect.sandbox.limits import Limits
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.suspect import Suspect, open_suspect
from wmx.suspect.types import Device
from wmx.verification.evidence import Evidence
from wmx.verification.verdict import Verdict, bits_to_ask, measure

NEVER_CHECKED = (
    "that the file is the one in dispute: compare its SHA-256 with the other side's",
    "who made the model, with what right, or who was first: a mark can be trained into a stolen "
    "model too, and then dated originals decide (wmx dispute)",
)


@dataclass(frozen=True)
class Checked:
    """What a third party finds.

    Attributes:
        evidence: whose signature, commitment, labels and numbers are in order.
        dating: what the claim's timestamps are worth to the checker.
        required_bits: what the checker asks for; the evidence has no say in it.
        repeated: the verdict when the disclosed triggers were given to the model here; ``None``
            without the model.
        claim_given: whether the checker had the claim from elsewhere too.
    """

    evidence: Evidence
    dating: Dating
    required_bits: float
    repeated: Verdict | None
    claim_given: bool

    @property
    def bits(self) -> float:
        """The evidence: of the stated answers, and not more than the repeated ones give."""
        stated = self.evidence.score.bits
        return stated if self.repeated is None else min(stated, self.repeated.bits)

    @property
    def sufficient(self) -> bool:
        """Whether the bits suffice, provided that the answers are the model's."""
        return self.bits >= self.required_bits

    @property
    def verified(self) -> bool:
        """Whether the bits suffice and the model was seen to give them."""
        return self.sufficient and self.repeated is not None

    @property
    def heading(self) -> str:
        """The result in a word or two."""
        if not self.sufficient:
            return "NOT VERIFIED"
        return "VERIFIED" if self.verified else "CONSISTENT, not repeated"

    @property
    def unchecked(self) -> list[str]:
        """What was not, or cannot be, checked; one sentence each."""
        found = []
        if self.repeated is None:
            found.append(
                "that the model gives these answers: they are the owner's word "
                "(give the file with --model)"
            )
        if not self.claim_given:
            found.append(
                "that the claim is the one that was published: compare its digest, "
                "or give it with --claim"
            )
        found.append(unchecked_date(self.dating))
        found.append(
            f"that the owner tried no more claims than he says ({self.evidence.claims_tried}), "
            "and held them against no more models than this, and had disclosed these triggers "
            "to nobody before the model was made"
        )
        return [*found, *NEVER_CHECKED]


def require_about(
    evidence: Evidence, sha256: str | None, external: Mapping[str, str], model: str
) -> None:
    """Refuse an evidence that is about other files than a model's.

    Args:
        evidence: what names the files.
        sha256: of the model's ONNX file, hexadecimal.
        external: of the files beside it that hold its weights, by name.
        model: what errors call it.

    Raises:
        IntegrityError: says which file is another one.
    """
    if sha256 != evidence.suspect_sha256:
        raise IntegrityError(
            f"the evidence is about another file than {model}",
            hint=f"it is about one with the SHA-256 {evidence.suspect_sha256}",
        )
    if external != evidence.suspect_external:
        differing = sorted(dict(external.items() ^ evidence.suspect_external.items()))
        raise IntegrityError(
            f"the evidence is about a model with other weights beside {model}: "
            f"{', '.join(differing)} differ",
            hint="put the files that belong together beside each other",
        )


def unchecked_date(dating: Dating) -> str:
    """Say what remains open about the time of a claim."""
    if dating.time is None:
        return "when the claim was made: it has no timestamp that is trusted here"
    return "that the model was made after the claim's date"


def check(
    evidence: Evidence | str | Path,
    *,
    model: str | Path | None = None,
    claim: Claim | None = None,
    min_bits: float | None = None,
    roots: Roots = (),
    device: Device = "auto",
    limits: Limits | None = None,
    weights: Iterable[str | Path] = (),
    apart_from: Iterable[str | Path] = (),
) -> Checked:
    """Check an evidence without any secret.

    >>> from wmx import check
    >>> checked = check("evidence.json", model="model.onnx")
    >>> checked.verified, checked.bits > 128
    (True, True)

    Args:
        evidence: the path of an evidence file, or what :meth:`Evidence.load` returned.
        model: the suspect; its SHA-256 is compared, and it is given the disclosed triggers again.
        claim: the claim as it was published; has to be the one in the evidence.
        min_bits: asked for instead of 128, or 64 with a trusted timestamp.
        roots: certificates of the timestamp authorities that are trusted.
        device: where the model runs.
        limits: of the process that runs it; the library's if ``None``.
        weights, apart_from: as in :func:`wmx.open_suspect`.

    Raises:
        IntegrityError: it is about another model or claim.
        CannotRunError: a file cannot be read, or the model cannot be run.
        SuspectDiedError: the process that ran the model crashed, or ran into a limit.
        UsageError: ``min_bits`` is not positive.
    """
    if not isinstance(evidence, Evidence):
        evidence = Evidence.load(evidence)
    dating = date_claim(_with_given(evidence.claim, claim), roots)
    required = bits_to_ask(min_bits, trusted_timestamp=dating.is_trusted)
    repeated = None
    if model is not None:
        with (
            Sandbox.start(limits) as sandbox,
            closing(
                open_suspect(
                    model,
                    device,
                    sandbox=sandbox,
                    overrides=evidence.overrides,
                    weights=weights,
                    apart_from=apart_from,
                )
            ) as suspect,
        ):
            require_about(evidence, suspect.sha256, suspect.external, str(model))
            repeated = _repeat(evidence, suspect, required, dating)
    return Checked(
        evidence=evidence,
        dating=dating,
        required_bits=required,
        repeated=repeated,
        claim_given=claim is not None,
    )


def _with_given(claim: Claim, given: Claim | None) -> Claim:
    """Return the claim of the evidence with the timestamps of the given one too."""
    if given is None:
        return claim
    if given.envelope != claim.envelope:
        raise IntegrityError(
            f"the evidence is about the claim {claim.digest}, and the claim that was given is "
            f"{given.digest}"
        )
    return claim.dated_by_both(given)


def _repeat(evidence: Evidence, suspect: Suspect, required: float, dating: Dating) -> Verdict:
    """Give the disclosed triggers to the model and count again.

    All of it anew, by the checker's own runtime: the ways are those that fit this file, not those
    that the evidence names.
    """
    return measure(
        suspect,
        evidence.trigger_slice,
        required=required,
        dating=dating,
        claims_tried=evidence.claims_tried,
        starts=evidence.claim.n,
    )
