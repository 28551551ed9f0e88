"""The verdict: does a suspect know the labels of a watermark better than chance can?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.timestamp import UNDATED, Dating, Roots, date_claim
from wmx.statistics.experts import required_bits
from wmx.statistics.hits import log10_binomial_tail
from wmx.statistics.mixture import EvidenceScore, Mixture, Probe, penalty_of
from wmx.statistics.predictions import Predictions
from wmx.suspect.overrides import Overrides
from wmx.suspect.suspect import Suspect, opened
from wmx.suspect.types import Device
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.batch_query import BatchQuery
from wmx.verification.query import Query
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
        required_bits: what the decision asks for.
        hits: triggers whose label is the top class, in the first plain way.
        start: index of the first trigger that counts; those before it were disclosed.
        n, classes: number of triggers that count, and of classes K.
        tail: P(that many hits or more by chance), exact; ``None`` for n above 4,096.
        claims_tried: how many claims were held against this suspect; log2 of it is subtracted.
        claim: SHA-256 of the claim's payload.
        owner: the owner's raw public key.
        dating: what the claim's timestamps are worth.
        suspect: name of the suspect.
        suspect_sha256: of the suspect's file, or ``None``.
        suspect_external: of the files beside it that hold its weights, by name.
        overrides: what somebody had said of its inputs and outputs; paid for.
        engine: what ran it.
        best_probe: the way of feeding and reading with the most evidence.
        experts: log2 of each expert's wealth in that way.
        probes_tried: number of ways that were tried.
        predictions: of each of them, which is what was weighed; for reports, and out of
            ``repr``, since the owner alone knows to what they are answers.
        score: what these answers weigh, way by way; as little for others.
        left: number of triggers from ``start`` on; an API is asked ``n`` of them.
        queries: inputs that an API was asked, those of repeated requests included; ``None`` where
            they cost nothing.
        budget_ended: whether an API may be asked no more, and would have been.
        lacking: digests of the claims that were not given all of their triggers for that reason;
            of a scan, those of other claims too.
        passed_over: why other claims of a scan have no verdict, by their digests.
    """

    bits: float
    required_bits: float
    hits: int
    start: int
    n: int
    classes: int
    tail: Fraction | None
    claims_tried: int
    claim: str
    owner: bytes
    dating: Dating
    suspect: str
    suspect_sha256: str | None
    suspect_external: Mapping[str, str]
    overrides: Overrides
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
    passed_over: Mapping[str, str] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        """Whether the evidence suffices."""
        return self.bits >= self.required_bits

    @property
    def is_answer(self) -> bool:
        """Whether it is a yes or a no: not if the budget ended before all triggers were given."""
        return self.verified or not self.lacking

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

    >>> from wmx import Claim, OwnerKey, Watermark, verify
    >>> watermark = Watermark.open(Claim.load("claim.json"), OwnerKey.load("owner.pem"))
    >>> verify("model.onnx", watermark).verified
    True

    Args:
        suspect: path of an ONNX file, which is run in a process of its own;
            ``"https://HOST/v2/models/NAME"``; a function of float32 [n, *task.shape] (channels
            last, normalised) that returns scores [n, C], or class numbers or names [n]; or what
            :func:`wmx.open_suspect` returned.
        watermark: the claim and its triggers.
        min_bits: asked for instead of the default: 128, or 64 with a trusted timestamp.
        roots: certificates of the timestamp authorities that are trusted
            (:func:`wmx.protocol.timestamp.load_roots`).
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"tensorrt"``.

    Raises:
        CannotRunError: the suspect cannot be read, loaded, fed or understood.
        SuspectDiedError: the process that ran it crashed, or ran into a limit.
        UsageError: ``min_bits`` is not positive.
    """
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
        suspect: what is asked.
        watermark: the claim and its triggers.
        min_bits: asked for instead of the default.
        roots: certificates of the timestamp authorities that are trusted.
        claims_tried: how many claims are held against this suspect, this one included.
        start: index of the first trigger that counts.  It costs nothing, other than a start that is
            chosen for a suspect: how many were disclosed before hangs on nothing that it answers.

    Raises:
        CannotRunError: no trigger is left, too.
        UsageError: it is no watermark, too.
    """
    if not isinstance(watermark, Watermark):
        raise UsageError(
            f"the watermark is {type(watermark).__name__}, expected a Watermark",
            hint="a claim alone holds no triggers: Watermark.open(claim, owner_key) rebuilds them",
        )
    dating = date_claim(watermark.claim, roots)
    trigger_slice = watermark.trigger_slice(start)
    if not len(trigger_slice):
        raise CannotRunError(
            f"every trigger of the claim {watermark.claim.digest} was disclosed, and says nothing "
            "about models that were made since",
            hint="wmx verify --disclosed counts them, for a model that was surely made before; "
            "mark the next model under a new claim",
        )
    return measure(
        suspect,
        trigger_slice,
        required=bits_to_ask(min_bits, trusted_timestamp=dating.is_trusted),
        dating=dating,
        claims_tried=claims_tried,
    )


def bits_to_ask(min_bits: float | None, *, trusted_timestamp: bool) -> float:
    """Return what the decision asks for: ``min_bits``, or the default.

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
    claims_tried: int = 1,
    starts: int = 1,
) -> Verdict:
    """Measure an opened suspect by the triggers of a window.

    Single rows, other batches, other scalings and shifts are asked one after the other, and only
    where what was asked before does not suffice.  What was not asked counts as wealth 0, so the
    bits are then a lower bound.

    A file is asked many triggers at once.  An API is asked them in turn, since it counts them; and
    so is a file about a window that somebody has chosen, since what he chose must not be what the
    answers hang on.

    Args:
        suspect: what is asked.
        trigger_slice: the triggers and their labels.
        required: bits that the decision asks for.
        dating: what the claim's timestamps are worth.
        claims_tried: how many claims are held against this suspect; log2 of it is subtracted.
        starts: among how many windows this one was chosen; log2 of it is subtracted.
    """
    penalty = penalty_of(claims_tried, starts=starts, overrides=suspect.overrides.penalty)

    def enough(mixture: Mixture) -> bool:
        return mixture.bits - penalty >= required

    before = suspect.queries_left
    query: Query
    if before is not None:
        query = SequentialQuery(suspect, trigger_slice, enough)
    elif starts > 1:
        query = SequentialQuery(suspect, trigger_slice, lambda _: False)
    else:
        query = BatchQuery(suspect, trigger_slice)
    query.until(enough)
    score = query.mixture.score(penalty, query.count)
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
        claims_tried=claims_tried,
        claim=digest,
        owner=trigger_slice.claim.owner,
        dating=dating,
        suspect=suspect.name,
        suspect_sha256=suspect.sha256,
        suspect_external=suspect.external,
        overrides=suspect.overrides,
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
    )
