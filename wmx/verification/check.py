"""Checking evidence without any secret: what it proves, and what not (docs/evidence.md)."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from wmx.errors import IntegrityError
from wmx.protocol.claim import Claim
from wmx.protocol.dating import Dating
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.timestamp import Roots, date_claim
from wmx.statistics.attainable import attainable_bits, too_few_triggers
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
    """The result of checking an evidence.

    Attributes:
        evidence: with valid signature, commitment, labels and numbers.
        dating: what the claim's timestamps prove to the checker.
        required_bits: what the checker requires, whatever the evidence says.
        repeated: the verdict of querying the model with the disclosed triggers here; ``None``
            without the model.
        claim_given: whether the checker also has the claim from elsewhere.
    """

    evidence: Evidence
    dating: Dating
    required_bits: float
    repeated: Verdict | None
    claim_given: bool

    @property
    def bits(self) -> float:
        """Bits of the stated predictions, and at most those of the repeated ones."""
        stated = self.evidence.score.bits
        return stated if self.repeated is None else min(stated, self.repeated.bits)

    @property
    def sufficient(self) -> bool:
        """Whether the bits suffice, if the stated predictions are the model's."""
        return self.bits >= self.required_bits

    @property
    def verified(self) -> bool:
        """Whether the bits suffice and the model was run here to repeat them."""
        return self.sufficient and self.repeated is not None

    @property
    def too_few(self) -> str | None:
        """Why the disclosed triggers could not verify an exact copy; ``None`` if they could."""
        count = len(self.evidence.trigger_slice)
        return too_few_triggers(
            count,
            attainable_bits(self.evidence.score, count),
            required=self.required_bits,
            penalty=self.evidence.selection.penalty,
            which="disclosed",
        )

    @property
    def heading(self) -> str:
        """The result in a word or two."""
        if not self.sufficient:
            return "NOT VERIFIED"
        return "VERIFIED" if self.verified else "CONSISTENT, not repeated"

    @property
    def unchecked(self) -> list[str]:
        """What was not or cannot be checked, one sentence each."""
        found = []
        if self.repeated is None:
            found.append(
                "that the model gives these predictions: only the owner says so "
                "(give the file with --model)"
            )
        if not self.claim_given:
            found.append(
                "that the claim is the one that was published: compare its digest, "
                "or give it with --claim"
            )
        found.append(unchecked_date(self.dating))
        tried = self.evidence.selection.claims_tried
        found.append(
            f"that the owner tried no more claims than stated ({tried}), "
            "tested them on no other models, and had disclosed these triggers to nobody before "
            "the model was made"
        )
        return [*found, *NEVER_CHECKED]


def require_about(evidence: Evidence, model: ModelReference, name: str) -> None:
    """Refuse an evidence that is not about the files of a model.

    Args:
        evidence: names the files.
        model: the model that was opened.
        name: what errors call it.

    Raises:
        IntegrityError: a file differs; the message says which.
    """
    stated = evidence.suspect
    if model.has_same_files(stated):
        return
    if model.sha256 != stated.sha256:
        raise IntegrityError(
            f"the evidence file is about another file than {name}: about one with the SHA-256 "
            f"{stated.sha256}, and this one has {model.sha256}",
            hint="get the file that the evidence is about, or ask the owner for evidence about "
            "this one",
        )
    differing = sorted(dict(model.external.items() ^ stated.external.items()))
    raise IntegrityError(
        f"the evidence file is about a model with other weights beside {name}: "
        f"{', '.join(differing)} differ",
        hint="put the files that belong together into one folder",
    )


def unchecked_date(dating: Dating) -> str:
    """Return what is not shown about the time of a claim."""
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
    """Check an evidence against a model, a published claim and root certificates.

    >>> from wmx import check
    >>> checked = check("evidence.json", model="model.onnx")
    >>> checked.verified, checked.bits > 128
    (True, True)

    Args:
        evidence: the path of an evidence file, or what :meth:`Evidence.load` returned.
        model: the suspect: its SHA-256 is compared, and it is queried with the disclosed triggers.
        claim: the published claim; has to be the one in the evidence.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        roots: root certificates of the timestamp authorities that the checker trusts.
        device: where the model runs.
        limits: of the process that runs it; the defaults if ``None``.
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
                    overrides=evidence.selection.overrides,
                    weights=weights,
                    apart_from=apart_from,
                )
            ) as suspect,
        ):
            require_about(evidence, suspect.reference, str(model))
            repeated = _repeat(evidence, suspect, required, dating)
    return Checked(
        evidence=evidence,
        dating=dating,
        required_bits=required,
        repeated=repeated,
        claim_given=claim is not None,
    )


def _with_given(claim: Claim, given: Claim | None) -> Claim:
    """Return the claim of the evidence, with the timestamps of the given one added."""
    if given is None:
        return claim
    if given.envelope != claim.envelope:
        raise IntegrityError(
            f"the evidence file is about the claim {claim.digest}, and the claim that was given "
            f"is {given.digest}",
            hint="give the claim that the owner published for this evidence file, or leave out "
            "--claim",
            in_python="give the claim that the owner published for it, or none",
        )
    return claim.dated_by_both(given)


def _repeat(evidence: Evidence, suspect: Suspect, required: float, dating: Dating) -> Verdict:
    """Query the model with the disclosed triggers and compute the bits again.

    Nothing is taken from the evidence but its triggers: the probes are all that fit this file.
    """
    return measure(
        suspect,
        evidence.trigger_slice,
        required=required,
        dating=dating,
        selection=evidence.selection,
    )
