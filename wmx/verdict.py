"""The verdict: does a suspect know the labels of a watermark better than chance can?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.answers import Answers
from wmx.errors import CannotRunError, UsageError
from wmx.statistics import (
    binomial_tail,
    count_hits,
    expert_bets,
    log2_mean,
    log10_fraction,
    required_bits,
)
from wmx.suspect import Suspect, open_suspect
from wmx.suspect.device import Device
from wmx.suspect.feeding import Feeding
from wmx.watermark import Watermark

MAX_SHIFT = 2
SHIFTS = tuple(
    (down, right)
    for down in range(-MAX_SHIFT, MAX_SHIFT + 1)
    for right in range(-MAX_SHIFT, MAX_SHIFT + 1)
    if (down, right) != (0, 0)
)
PROBE = 32  # triggers after which a shifted feeding that has lost money stops playing
LOG2_PLAIN_SHARE = -1.0  # half of the mixture is for plain inputs, half for shifted ones


@dataclass(frozen=True)
class WayResult:
    """What one way of feeding and reading the suspect gave.

    Attributes:
        name: layout, shift and output.
        experts: log2 of each expert's wealth.
        log2_share: log2 of the way's share of the mixture.
    """

    name: str
    experts: dict[str, float]
    log2_share: float

    @property
    def bits(self) -> float:
        """log2 of the mean of the experts' wealths."""
        return log2_mean(self.experts.values())


@dataclass(frozen=True)
class Verdict:
    """What verification found.

    Attributes:
        bits: the evidence; chance reaches b bits with probability at most 2**-b.
        required_bits: what the decision asks for.
        hits: triggers whose label is the top class, in the first plain way.
        n, classes: number of triggers, and of classes K.
        tail: P(that many hits or more by chance), exact.
        claims_tried: how many claims were held against this suspect; log2 of it is subtracted.
        claim: SHA-256 of the claim's payload.
        owner: the owner's raw public key.
        suspect: name of the suspect.
        suspect_sha256: of the suspect's file, or ``None``.
        engine: what ran it.
        best_way: the way of feeding and reading with the most evidence.
        experts: log2 of each expert's wealth in that way.
        ways_tried: number of ways that were tried.
    """

    bits: float
    required_bits: float
    hits: int
    n: int
    classes: int
    tail: Fraction
    claims_tried: int
    claim: str
    owner: bytes
    suspect: str
    suspect_sha256: str | None
    engine: str
    best_way: str
    experts: dict[str, float]
    ways_tried: int

    @property
    def verified(self) -> bool:
        """Whether the evidence suffices."""
        return self.bits >= self.required_bits

    @property
    def log10_tail(self) -> float:
        """log10 of :attr:`tail`."""
        return log10_fraction(self.tail)


def verify(
    suspect: str | Path | Callable[[NDArray[Any]], Any],
    watermark: Watermark,
    *,
    min_bits: float | None = None,
    device: Device = "auto",
) -> Verdict:
    """Measure how well a suspect knows the labels of a watermark.

    Args:
        suspect: path of an ONNX file, or a function of float32 [n, *task.shape] (channels last,
            normalised) that returns scores [n, C] or class numbers [n].
        watermark: the claim and its triggers.
        min_bits: asked for instead of the default (128 without a trusted timestamp).
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"tensorrt"``.

    Raises:
        CannotRunError: the suspect cannot be read, loaded, fed or understood.
        UsageError: ``min_bits`` is not positive.
    """
    return judge(open_suspect(suspect, device), watermark, min_bits=min_bits)


def verify_any(
    suspect: str | Path | Callable[[NDArray[Any]], Any],
    watermarks: Sequence[Watermark],
    *,
    min_bits: float | None = None,
    device: Device = "auto",
) -> Verdict:
    """Hold several claims against one suspect and return the verdict with the most evidence.

    Claims whose task the suspect cannot take are left out.  The N that are tried cost log2 N bits
    each.

    Raises:
        CannotRunError: as :func:`verify`, or no claim fits the suspect.
    """
    opened = open_suspect(suspect, device)
    fitting = [watermark for watermark in watermarks if _fits(opened, watermark)]
    if not fitting:
        raise CannotRunError(
            f"none of the {len(watermarks)} claims is for a model like {opened.name}",
            hint="compare its inputs with the claims' tasks: wmx info",
        )
    return max(
        (judge(opened, one, min_bits=min_bits, claims_tried=len(fitting)) for one in fitting),
        key=lambda verdict: verdict.bits,
    )


def judge(
    suspect: Suspect,
    watermark: Watermark,
    *,
    min_bits: float | None = None,
    claims_tried: int = 1,
) -> Verdict:
    """Measure an opened suspect; as :func:`verify`.

    The shifted feedings are run only where the plain ones do not suffice.  What was not run counts
    as wealth 0, so the bits are then a lower bound.

    Args:
        suspect: what is asked.
        watermark: the claim and its triggers.
        min_bits: asked for instead of the default.
        claims_tried: how many claims are held against this suspect, this one included.
    """
    price = log2(claims_tried)
    required = required_bits(trusted_timestamp=False) if min_bits is None else float(min_bits)
    if not 0 < required < float("inf"):
        raise UsageError(f"--min-bits is {min_bits}, expected a positive number")
    plain = _plain_answers(suspect, watermark)
    shiftable = watermark.task.kind == "image"
    share = (LOG2_PLAIN_SHARE if shiftable else 0.0) - log2(len(plain))
    ways = [
        WayResult(f"{feeding.layout} {output}", _wealths(answers, watermark), share)
        for (feeding, output), answers in plain.items()
    ]
    if shiftable and mixture_bits(ways) - price < required:
        ways += _shifted_ways(suspect, list(plain), watermark, share - log2(len(SHIFTS)))
    best = max(ways, key=lambda way: way.bits)
    hits = count_hits(next(iter(plain.values())), watermark.labels)
    classes = watermark.task.classes
    return Verdict(
        bits=mixture_bits(ways) - price,
        required_bits=required,
        hits=hits,
        n=len(watermark.labels),
        classes=classes,
        tail=binomial_tail(hits, len(watermark.labels), classes),
        claims_tried=claims_tried,
        claim=watermark.claim.digest,
        owner=watermark.claim.owner,
        suspect=suspect.name,
        suspect_sha256=suspect.sha256,
        engine=suspect.engine,
        best_way=best.name,
        experts=best.experts,
        ways_tried=len(ways),
    )


def mixture_bits(ways: Sequence[WayResult]) -> float:
    """Return log2 of the mean wealth over ways, by shares fixed before any label was used."""
    return log2_mean((way.bits for way in ways), (way.log2_share for way in ways))


def shifted(pixels: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Return images [n, H, W, C] moved by whole pixels; what is uncovered is 0."""
    height, width = pixels.shape[1:3]
    moved = np.zeros_like(pixels)
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = pixels[
        :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved


def _plain_answers(suspect: Suspect, watermark: Watermark) -> dict[tuple[Feeding, str], Answers]:
    """Return the answers to the triggers as they are, for every feeding and output that works.

    A model whose axes are all declared free seems to take more layouts than it does; those that
    fail when run are left out.

    Raises:
        CannotRunError: no feeding works.
    """
    found: dict[tuple[Feeding, str], Answers] = {}
    failures = []
    inputs = watermark.inputs
    for feeding in suspect.feedings(watermark.task):
        try:
            outputs = suspect.answers(feeding, inputs, watermark.task)
        except CannotRunError as error:
            failures.append(error)
        else:
            found |= {(feeding, output): answers for output, answers in outputs.items()}
    if not found:
        raise failures[0]
    return found


def _shifted_ways(
    suspect: Suspect,
    plain_ways: Sequence[tuple[Feeding, str]],
    watermark: Watermark,
    log2_share: float,
) -> Iterator[WayResult]:
    """Play every shift on the first triggers, and to the end where that did not lose.

    Stopping a bet by what it has earned so far is allowed to any martingale.  The answers to the
    first triggers are kept and not asked for again: a suspect whose answers change from call to
    call would otherwise get a second chance on them.
    """
    feedings = dict.fromkeys(feeding for feeding, _ in plain_ways)
    for down, right in SHIFTS:
        inputs = watermark.task.model_input(shifted(watermark.triggers, down, right))
        for feeding in feedings:
            probed = _answers_or_none(suspect, feeding, inputs[:PROBE], watermark)
            wealths = {name: _wealths(answers, watermark) for name, answers in probed.items()}
            going_on = [name for name, wealth in wealths.items() if log2_mean(wealth.values()) > 0]
            if going_on and len(inputs) > PROBE:
                later = _answers_or_none(suspect, feeding, inputs[PROBE:], watermark)
                for output in going_on:
                    if output in later and _same_columns(probed[output], later[output]):
                        answers = probed[output].followed_by(later[output])
                        wealths[output] = _wealths(answers, watermark)
            for output, wealth in wealths.items():
                if (feeding, output) in plain_ways:  # only these have a share
                    name = f"{feeding.layout} shifted {down:+d},{right:+d} {output}"
                    yield WayResult(name, wealth, log2_share)


def _answers_or_none(
    suspect: Suspect, feeding: Feeding, inputs: NDArray[Any], watermark: Watermark
) -> dict[str, Answers]:
    """Return the answers of every output; none where the model fails."""
    try:
        return suspect.answers(feeding, inputs, watermark.task)
    except CannotRunError:
        return {}


def _same_columns(first: Answers, later: Answers) -> bool:
    return first.scores.shape[1:] == later.scores.shape[1:]


def _wealths(answers: Answers, watermark: Watermark) -> dict[str, float]:
    """Return log2 of each expert's wealth after answers to the first triggers."""
    bets = expert_bets(answers, watermark.labels[: len(answers)], watermark.task.classes)
    return {name: float(bet.sum()) for name, bet in bets.items()}


def _fits(suspect: Suspect, watermark: Watermark) -> bool:
    try:
        suspect.feedings(watermark.task)
    except CannotRunError:
        return False
    return True
