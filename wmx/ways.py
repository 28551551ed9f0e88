"""Ways of feeding and reading a suspect, and the mixture over them (docs/statistics.md).

Verifying and checking evidence both count here, so that they can never count differently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log2

import numpy as np
from numpy.typing import NDArray

from wmx.answers import Answers
from wmx.binomial import binomial_tail, log10_binomial_tail
from wmx.settled import NOTHING_SETTLED, Settled
from wmx.statistics import (
    Bets,
    Labels,
    count_hits,
    expert_bets,
    log2_mean,
)
from wmx.task import Task
from wmx.window import Window

OTHER_SCALINGS = {  # beside the one that fits the input; see wmx.suspect.scaling
    "image": ("0..255", "0..1", "-1..1", "ImageNet"),
    "features": ("raw",),
    "tokens": (),
}
MAX_SHIFT = 2
NO_SHIFT = (0, 0)
SHIFTS = tuple(
    (down, right)
    for down in range(-MAX_SHIFT, MAX_SHIFT + 1)
    for right in range(-MAX_SHIFT, MAX_SHIFT + 1)
    if (down, right) != NO_SHIFT
)
LOG2_PLAIN_SHARE = -1.0  # half of the mixture is for plain inputs, half for their variations
VARIATIONS = {  # how many a plain way may have at most
    kind: len(scalings) + (len(SHIFTS) if kind == "image" else 0)
    for kind, scalings in OTHER_SCALINGS.items()
}


@dataclass(frozen=True)
class Way:
    """One way of feeding and reading a suspect.

    Attributes:
        layout: order of the input's axes, and what else tells feedings apart.
        output: name of the output that was read.
        shift: whole pixels (down, right) by which the inputs were moved.
        scaling: what numbers stood for pixels or features; ``""`` for those that fit the input.
    """

    layout: str
    output: str
    shift: tuple[int, int] = NO_SHIFT
    scaling: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the inputs were fed as they are."""
        return self.shift == NO_SHIFT and not self.scaling

    @property
    def plain(self) -> "Way":
        """The same way without shift and other scaling."""
        return Way(self.layout, self.output)

    @property
    def name(self) -> str:
        """Layout, scaling, shift and output."""
        scaling = f"{self.scaling} " if self.scaling else ""
        shift = f"shifted {self.shift[0]:+d},{self.shift[1]:+d} " if self.shift != NO_SHIFT else ""
        return f"{self.layout} {scaling}{shift}{self.output}"


@dataclass(frozen=True)
class WayResult:
    """What one way gave.

    Attributes:
        way: feeding and reading.
        bets: log2(K q_i(y_i)) of each expert, in the order of the triggers.
        log2_share: log2 of the way's share of the mixture.
    """

    way: Way
    bets: dict[str, Bets]
    log2_share: float

    @property
    def experts(self) -> dict[str, float]:
        """log2 of each expert's wealth."""
        return {name: float(bet.sum()) for name, bet in self.bets.items()}

    @property
    def bits(self) -> float:
        """log2 of the mean of the experts' wealths."""
        return log2_mean(self.experts.values())

    def running(self, n: int) -> NDArray[np.float64]:
        """Return log2 of the experts' mean wealth after each of n triggers, float64 [n].

        A way that stopped before keeps what it had.
        """
        bets = np.stack(list(self.bets.values()))
        wealths = np.cumsum(np.pad(bets, ((0, 0), (0, n - bets.shape[1]))), axis=1)
        mean: NDArray[np.float64] = np.logaddexp2.reduce(wealths, axis=0) - log2(len(wealths))
        return mean


def play(answers: Mapping[Way, Answers], labels: Labels, task: Task) -> list[WayResult]:
    """Let the experts bet on the answers of every way.

    Shares are fixed by the number of plain ways, which hangs on the suspect and the task alone:
    they share one half, and their variations the other; tokens have none, and plain ways share all.

    Args:
        answers: of every plain way that there is, and of any variations of these; to all triggers,
            or to the first of them where a way stopped.
        labels: int64 [n].
        task: gives the kind of input and K.
    """
    variations = VARIATIONS[task.kind]
    plain = sum(way.is_plain for way in answers)
    share = (LOG2_PLAIN_SHARE if variations else 0.0) - log2(plain)
    return [
        WayResult(
            way,
            expert_bets(given, labels[: len(given)], task.classes),
            share if way.is_plain else share - log2(variations),
        )
        for way, given in answers.items()
    ]


@dataclass(frozen=True)
class Weight:
    """What the answers of all ways weigh together.

    Attributes:
        results: of each way.
        price: bits that are subtracted: for the choice among claims, and of a window.
        hits: answers whose top class is the label, in the first plain way, which is fixed before
            any label is looked at.
        n: number of triggers.
        classes: K.
    """

    results: list[WayResult]
    price: float
    hits: int
    n: int
    classes: int

    @property
    def bits(self) -> float:
        """log2 of the mixture's wealth, less the price."""
        return mixture_bits(self.results) - self.price

    def running_bits(self) -> NDArray[np.float64]:
        """Return :attr:`bits` after each of the n triggers, float64 [n]."""
        wealths = [result.running(self.n) + result.log2_share for result in self.results]
        bits: NDArray[np.float64] = np.logaddexp2.reduce(np.stack(wealths), axis=0)
        return bits - self.price

    @property
    def best(self) -> WayResult:
        """The way with the most evidence."""
        return max(self.results, key=lambda result: result.bits)

    @property
    def tail(self) -> Fraction | None:
        """P(that many hits or more by chance), exact; ``None`` for n above 4,096."""
        return binomial_tail(self.hits, self.n, self.classes)

    @property
    def log10_tail(self) -> float:
        """log10 of P(that many hits or more by chance)."""
        return log10_binomial_tail(self.hits, self.n, self.classes)


def weigh(answers: Mapping[Way, Answers], window: Window, *, price: float) -> Weight:
    """Weigh the answers to the triggers of a window; see :func:`play` for which they are."""
    return Weight(
        results=play(answers, window.labels, window.task),
        price=price,
        hits=count_hits(next(a for way, a in answers.items() if way.is_plain), window.labels),
        n=len(window),
        classes=window.task.classes,
    )


def mixture_bits(results: Sequence[WayResult]) -> float:
    """Return log2 of the mean wealth over ways, by shares fixed before any label was used."""
    return log2_mean((result.bits for result in results), (result.log2_share for result in results))


def price_of(claims_tried: int, *, starts: int = 1, settled: Settled = NOTHING_SETTLED) -> float:
    """Return the bits that choices cost: of a claim, of a window's start, of inputs' numbers."""
    return log2(claims_tried) + log2(starts) + settled.price


def shifted(pixels: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Return images [n, H, W, C] moved by whole pixels; what is uncovered is 0."""
    height, width = pixels.shape[1:3]
    moved = np.zeros_like(pixels)
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = pixels[
        :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved
