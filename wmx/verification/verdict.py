"""The verdict: does a suspect know the labels of a watermark better than by chance?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.claim import Claim
from wmx.protocol.dating import UNDATED, Dating
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.timestamp import Roots, date_claim
from wmx.statistics.attainable import attainable_bits, too_few_triggers
from wmx.statistics.experts import required_bits
from wmx.statistics.hits import log10_binomial_tail
from wmx.statistics.mixture import EvidenceScore, Mixture
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.suspect.suspect import Suspect, opened
from wmx.suspect.types import Device
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.batch_query import BatchQuery
from wmx.verification.query import Query
from wmx.verification.selection import NO_SELECTION, Selection
from wmx.verification.sequential_query import SequentialQuery
from wmx.watermark import Watermark


@dataclass(frozen=True)
class Verdict:
    """What verification found.

    >>> from wmx import OwnerKey, Watermark, verify
    >>> watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    >>> guess = lambda images: images.reshape(len(images), -1)[:, :10]
    >>> verdict = verify(guess, watermark)
    >>> verdict.verified, verdict.required_bits, verdict.n
    (False, 128.0, 100)

    Attributes:
        bits: the evidence; chance reaches b bits with probability at most 2**-b.
        required_bits: bits needed to verify.
        hits: triggers whose label is the top class, for the first plain probe.
        start: index of the first trigger that counts; those before it were disclosed.
        n: number of triggers that count.
        classes: number of classes K.
        tail: P(that many hits or more by chance), exact; ``None`` for n above 4,096.
        selection: claims tested on this suspect, and overrides of its inputs and outputs, whose
            penalty is subtracted.
        claim: SHA-256 of the claim's payload.
        owner: the owner's raw public key.
        dating: what the claim's timestamps prove.
        suspect: name of the suspect, and the digests of its files.
        engine: what ran it.
        best_probe: name of the probe with the most evidence.
        experts: log2 of each expert's wealth for that probe.
        probes_tried: number of probes that were tried.
        predictions: of each probe; for reports, and not in ``repr``, since only the owner may know
            which inputs they belong to.
        score: the evidence score, probe by probe; as secret.
        left: number of triggers from ``start`` on; an API gets ``n`` of them.
        queries: inputs sent to an API, including repeated requests; ``None`` where queries are not
            limited.
        budget_ended: whether the query budget ended before the query did.
        lacking: digests of the claims for which not all triggers were sent for that reason; after a
            scan, those of other claims too.
        unread_outputs: number of the suspect's declared outputs of which something was left out
            that may be answers.
        unseen_views: number of views of the suspect that were not looked at, or not to the end,
            since their process died or time was short; 1 if it cannot be looked into at all.
        passed_over: why other claims of a scan have no verdict, by their digests: the suspect
            failed on their triggers, or too few of these were never disclosed.
        failed: how the suspect failed or died in a way of feeding that it answers otherwise, in
            words; ``None`` if it did not.
    """

    bits: float
    required_bits: float
    hits: int
    start: int
    n: int
    classes: int
    tail: Fraction | None
    selection: Selection
    claim: str
    owner: bytes
    dating: Dating
    suspect: ModelReference
    engine: str
    best_probe: str
    experts: dict[str, float]
    probes_tried: int
    predictions: Mapping[Probe, Predictions] = field(repr=False, compare=False)
    score: EvidenceScore = field(repr=False, compare=False)
    left: int
    queries: int | None
    budget_ended: bool
    lacking: tuple[str, ...] = ()
    unread_outputs: int = 0
    unseen_views: int = 0
    passed_over: Mapping[str, str] = field(default_factory=dict)
    failed: str | None = None

    def __str__(self) -> str:
        """The verdict in one line; ``repr`` has all of it."""
        word = "VERIFIED" if self.verified else "NOT VERIFIED" if self.is_answer else "NO ANSWER"
        bits = f"{self.bits:.1f} bits, {self.required_bits:g} needed"
        return f"{word}: {self.suspect.name}, {bits}; {self.hits} of {self.n} hits"

    @property
    def verified(self) -> bool:
        """Whether the evidence suffices."""
        return self.bits >= self.required_bits

    @property
    def hidden_in(self) -> str | None:
        """View in which the mark was found that the file hides; ``None`` if it hides none."""
        return (self.verified and self.score.best.probe.view) or None

    @property
    def is_answer(self) -> bool:
        """Whether this is a yes or a no.

        It is neither if no claim verified, and the query budget ended before all triggers were
        sent, the triggers are too few for one that knows every label, the suspect failed in a way
        of feeding that it answers otherwise, or another claim of the scan has no verdict: a suspect
        could fail on purpose.
        """
        reasons = self.lacking, self.passed_over, self.too_few, self.failed
        return self.verified or not any(reasons)

    @property
    def attainable(self) -> float:
        """Bits of a suspect that knows every label, by this very test, penalties subtracted."""
        return attainable_bits(self.score, self.left)

    @property
    def too_few(self) -> str | None:
        """Why the triggers could not verify an exact copy, in words; ``None`` if they could."""
        return too_few_triggers(
            self.left,
            self.attainable,
            required=self.required_bits,
            penalty=self.selection.penalty,
            which="undisclosed" if self.start else "",
        )

    @property
    def log10_tail(self) -> float:
        """log10 of P(that many hits or more by chance)."""
        return log10_binomial_tail(self.hits, self.n, self.classes)


def verify(
    suspect: str | Path | Callable[[NDArray[Any]], Any] | Suspect,
    watermark: Watermark,
    *,
    min_bits: float | None = None,
    roots: Roots = (),
    device: Device = "auto",
) -> Verdict:
    """Measure how well a suspect knows the labels of a watermark.

    All triggers count, those too that an evidence has disclosed, since no ledger is read.  Of a
    model that may have been made since by a reader of that evidence this is no proof: the command
    ``wmx verify`` leaves them out.

    >>> from wmx import Claim, OwnerKey, Watermark, verify
    >>> watermark = Watermark.open(Claim.load("claim.json"), OwnerKey.load("owner.pem"))
    >>> verify("model.onnx", watermark).verified
    True

    Args:
        suspect: path of an ONNX file, which is run in a process of its own;
            ``"https://HOST/v2/models/NAME"``; a function of float32 [n, *task.shape] (channels
            last, normalized) that returns scores [n, C], or class numbers or names [n]; or what
            :func:`wmx.open_suspect` returned.
        watermark: the claim and its triggers.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        roots: root certificates of the timestamp authorities that are trusted
            (:func:`wmx.protocol.timestamp.load_roots`).
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"tensorrt"``.

    Raises:
        CannotRunError: the suspect cannot be read, loaded or fed, or has no classifier output.
        SuspectDiedError: the process that ran it crashed, or ran into a limit.
        UsageError: ``min_bits`` is not positive, or an argument is of another type.
    """
    _require_watermark(watermark)
    with opened(suspect, device) as asked:
        return judge(asked, watermark, min_bits=min_bits, roots=roots)


def judge(
    suspect: Suspect,
    watermark: Watermark,
    *,
    min_bits: float | None = None,
    roots: Roots = (),
    claims_tried: int = 1,
    start: int = 0,
) -> Verdict:
    """Measure an opened suspect by the triggers of a watermark; as :func:`verify`.

    Args:
        suspect: what is queried.
        watermark: the claim and its triggers.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        roots: root certificates of the timestamp authorities that are trusted.
        claims_tried: number of claims tested on this suspect, this one included.
        start: index of the first trigger that counts.  It has no penalty, unlike a start that is
            chosen for a suspect: the number of disclosed triggers depends on no prediction of it.

    Raises:
        CannotRunError: also if no trigger is left.
        UsageError: also if ``watermark`` is not a watermark.
    """
    _require_watermark(watermark)
    dating = date_claim(watermark.claim, roots)
    trigger_slice = watermark.trigger_slice(start)
    if not len(trigger_slice):
        raise CannotRunError(
            f"every trigger of the claim {watermark.claim.digest} was disclosed, and proves "
            "nothing about models that were made since",
            hint="wmx verify --disclosed counts them, for a model certainly made before; "
            "mark the next model with a new claim",
        )
    return measure(
        suspect,
        trigger_slice,
        required=bits_to_ask(min_bits, trusted_timestamp=dating.is_trusted),
        dating=dating,
        selection=Selection(claims_tried),
    )


def _require_watermark(watermark: object) -> None:
    if isinstance(watermark, Watermark):
        return
    hint = "the order is wmx.verify(suspect, watermark)"
    if isinstance(watermark, Claim):
        hint = "a claim alone holds no triggers: Watermark.open(claim, owner_key) rebuilds them"
    raise UsageError(f"watermark is {type(watermark).__name__}, expected a Watermark", hint=hint)


def bits_to_ask(min_bits: float | None, *, trusted_timestamp: bool) -> float:
    """Return the bits needed to verify: ``min_bits``, or the default.

    Args:
        min_bits: replaces the default if not ``None``.
        trusted_timestamp: whether the claim has one: the default is then 64 instead of 128.

    Raises:
        UsageError: ``min_bits`` is not a positive number.
    """
    required = required_bits(trusted_timestamp) if min_bits is None else float(min_bits)
    if not 0 < required < float("inf"):
        raise UsageError(f"--min-bits is {min_bits}, expected a positive number")
    return required


def measure(
    suspect: Suspect,
    trigger_slice: TriggerSlice,
    *,
    required: float,
    dating: Dating = UNDATED,
    selection: Selection = NO_SELECTION,
) -> Verdict:
    """Measure an opened suspect by the triggers of a slice.

    Single rows, other batches, other scalings and shifts are tried one after the other, and only if
    the bits so far do not suffice.  Probes that were not tried count as wealth 0, so that the bits
    are then a lower bound.

    A file is queried with many triggers at once.  An API is queried trigger by trigger, since it
    counts them.  So is a file with a trigger slice that somebody chose, since the predictions must
    not depend on which one they chose.

    Args:
        suspect: what is queried.
        trigger_slice: the triggers and their labels.
        required: bits needed to verify.
        dating: what the claim's timestamps prove.
        selection: what claim and trigger slice were chosen from, whose penalty is subtracted; its
            overrides are replaced by those of the suspect.

    Raises:
        CannotRunError: the suspect cannot be fed, or has no classifier output.
        SuspectDiedError: the process that ran it crashed, or ran into a limit.
    """
    selection = replace(selection, overrides=suspect.overrides)
    penalty = selection.penalty

    def enough(mixture: Mixture) -> bool:
        return mixture.bits - penalty >= required

    before = suspect.queries_left
    query: Query
    if before is not None:
        query = SequentialQuery(suspect, trigger_slice, enough)
    elif selection.starts > 1:
        query = SequentialQuery(suspect, trigger_slice, lambda _: False)
    else:
        query = BatchQuery(suspect, trigger_slice)
    query.until(enough)
    score = query.mixture.score(penalty, query.count)
    if score.bits < required:
        query.failures.weigh()
    after = suspect.queries_left
    ended = query.budget_ended and score.bits < required
    digest = trigger_slice.claim.digest
    return Verdict(
        bits=score.bits,
        required_bits=required,
        hits=score.hits,
        start=trigger_slice.start,
        n=score.n,
        classes=score.classes,
        tail=score.tail,
        selection=selection,
        claim=digest,
        owner=trigger_slice.claim.owner,
        dating=dating,
        suspect=suspect.reference,
        engine=suspect.engine,
        best_probe=score.best.probe.name,
        experts=score.best.experts,
        probes_tried=query.mixture.tried,
        predictions=query.mixture.predictions,
        score=score,
        left=len(trigger_slice),
        queries=None if before is None or after is None else before - after,
        budget_ended=ended,
        lacking=(digest,) if ended and query.count < len(trigger_slice) else (),
        unread_outputs=suspect.unread_outputs,
        unseen_views=query.unseen_views,
        failed=query.failures.first,
    )
