"""Evidence bits: how much better a suspect predicts the secret labels than chance can.

The text that goes with this module is docs/statistics.md; the two read side by side.

Null hypothesis: the suspect was made without knowledge of the labels.  Then every label is uniform
over K classes and independent of everything the suspect answers.  Five experts watch the answers.
Before label ``y_i`` is used, each states a distribution ``q_i`` over the labels from answer i and
from earlier pairs of answer and label; its wealth is multiplied by ``K q_i(y_i)``.  Any mean of
wealths with weights fixed beforehand is a non-negative martingale that starts at 1, so by Ville's
inequality ``P(ever W >= 2**b) <= 2**-b``, and ``bits = log2 W``.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from math import comb, log, log2, log10
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.answers import Answers
from wmx.standardising import BLOCK, standardised, unit_scale

BITS_WITH_TIMESTAMP = 64.0
BITS_WITHOUT_TIMESTAMP = 128.0

NEIGHBOUR_WINDOW = 256
NEIGHBOUR_POWER = 4
NEIGHBOUR_PRIOR = 0.25
INVERSE_TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)

Labels: TypeAlias = NDArray[np.int64]
Bets: TypeAlias = NDArray[np.float64]
Expert: TypeAlias = Callable[[Answers, Labels, int], Bets]


def required_bits(trusted_timestamp: bool) -> float:
    """Return the bits at which a suspect counts as verified.

    64 when the claim bears a timestamp that is trusted, else 128: a forger who has the suspect may
    try many commitments, and T tries buy log2 T bits.  A timestamp takes the tries away only if the
    suspect was made after it, which nobody can see here: whoever relies on 64 has to know that.
    """
    return BITS_WITH_TIMESTAMP if trusted_timestamp else BITS_WITHOUT_TIMESTAMP


# The experts.  Each returns float64 [n], the bets log2(K q_i(y_i)) in the order of the triggers.


def agreement(answers: Answers, labels: Labels, classes: int) -> Bets:
    """Hit or miss of the top class: the paper's count, with a Krichevsky-Trofimov rate.

    After h hits in t answers a hit has probability ``(h + 1/2) / (t + 1)``; what is left is shared
    by the K - 1 other labels.  An answer outside ``0..K-1`` predicts nothing and teaches nothing.
    """
    speaks = (answers.top >= 0) & (answers.top < classes)
    hit = speaks & (answers.top == labels)
    rate = (_before(hit) + 0.5) / (_before(speaks) + 1.0)
    probability = np.where(hit, rate, (1.0 - rate) / (classes - 1))
    return np.where(speaks, np.log2(classes * probability), 0.0)


def rank(answers: Answers, labels: Labels, classes: int) -> Bets:
    """Rank of the label among the scores, in bins 1, 2, 3-4, 5-8, ...: labels pushed down, not out.

    Bin probabilities are Krichevsky-Trofimov estimates, uniform within a bin.  Only the scores of
    classes ``0..K-1`` count, a class without a score comes last; ties go to the lower class.
    """
    bins = _rank_bin(_label_ranks(answers.scores, labels, classes))
    sizes = np.bincount(_rank_bin(np.arange(classes)))
    seen = np.zeros((len(labels), len(sizes)))
    seen[np.arange(len(labels)), bins] = 1.0
    counts = _before(seen)[np.arange(len(labels)), bins]
    total = np.arange(len(labels))
    probability = (counts + 0.5) / (total + 0.5 * len(sizes)) / sizes[bins]
    return np.log2(classes * probability)


def softmax(answers: Answers, labels: Labels, classes: int) -> Bets:
    """Softmax of the standardised scores: how far a label stands out, not only in which place.

    ``q_i(y)`` is proportional to ``exp(b z_i[y])`` with the scores of :mod:`wmx.standardising`.
    The inverse temperatures b = 1/4, 1/2, 1, 2, 4 are betted on side by side, each with a fifth of
    the wealth.  A class without a score stands at 0, the average.
    """
    log2_ratios: list[list[Bets]] = []
    for known in standardised(answers.scores[:, :classes]):
        own = labels[BLOCK * len(log2_ratios) :][: len(known)]
        scores = np.pad(known, ((0, 0), (0, classes - known.shape[1])))
        log2_ratios.append([_log2_softmax(b * scores, own) for b in INVERSE_TEMPERATURES])
    if not log2_ratios:
        return np.zeros(0)
    bets = np.concatenate(log2_ratios, axis=1) + log2(classes)
    wealth = np.logaddexp2.reduce(np.cumsum(bets, axis=1), axis=0)
    return np.diff(wealth, prepend=log2(len(INVERSE_TEMPERATURES)))


def mapping(answers: Answers, labels: Labels, classes: int) -> Bets:
    """A table from predicted class to label: classes permuted, merged, renamed or added.

    Each row starts from a Dirichlet prior of 1/K per label: ``(n[c, y] + 1/K) / (n[c] + 1)``.
    """
    pairs = np.stack([answers.top, labels], axis=1)
    probability = (_earlier_equals(pairs) + 1.0 / classes) / (
        _earlier_equals(answers.top[:, None]) + 1.0
    )
    return np.log2(classes * probability)


def neighbours(answers: Answers, labels: Labels, classes: int) -> Bets:
    """Earlier labels weighted by the likeness of the answers: replaced heads, embeddings.

    Likeness of answers i and j < i is ``max(0, cos)**4`` of the score vectors, both centred on the
    mean of the answers up to i; only the last 256 earlier answers are looked at.  On top of the
    summed weights lies a prior mass of 1/4, uniform over the labels.
    """
    vectors = unit_scale(answers.scores)
    running = np.cumsum(vectors, axis=0) / np.arange(1, len(labels) + 1)[:, None]
    bets = np.zeros(len(labels))
    for start in range(0, len(labels), NEIGHBOUR_WINDOW):
        rows = slice(start, min(start + NEIGHBOUR_WINDOW, len(labels)))
        seen = slice(max(0, start - NEIGHBOUR_WINDOW), rows.stop)
        weights = _likeness(vectors[rows], vectors[seen], running[rows])
        ages = np.arange(rows.start, rows.stop)[:, None] - np.arange(seen.start, seen.stop)
        weights[(ages < 1) | (ages > NEIGHBOUR_WINDOW)] = 0.0
        same = labels[rows, None] == labels[None, seen]
        for_label = (weights * same).sum(axis=1) + NEIGHBOUR_PRIOR / classes
        bets[rows] = np.log2(classes * for_label / (weights.sum(axis=1) + NEIGHBOUR_PRIOR))
    return bets


EXPERTS: dict[str, Expert] = {
    "agreement": agreement,
    "rank": rank,
    "softmax": softmax,
    "mapping": mapping,
    "neighbours": neighbours,
}


# The mixture.


def expert_bets(answers: Answers, labels: Labels, classes: int) -> dict[str, Bets]:
    """Return every expert's bets, log2(K q_i(y_i)), in the order of the triggers.

    Args:
        answers: n answers.
        labels: int64 [n], values ``0..classes-1``.
        classes: K, at least 2.
    """
    if len(answers) != len(labels):
        raise ValueError(f"{len(answers)} answers to {len(labels)} labels")
    return {name: expert(answers, labels, classes) for name, expert in EXPERTS.items()}


def log2_mean(log2_wealths: Iterable[float], log2_weights: Iterable[float] | None = None) -> float:
    """Return log2 of the weighted mean of wealths, without overflow.

    Args:
        log2_wealths: log2 of each wealth.
        log2_weights: log2 of each weight, fixed before any label was seen; equal weights if
            ``None``.  Weights that sum to less than 1 give a lower bound.
    """
    wealths = np.array(list(log2_wealths), dtype=np.float64)
    weights = (
        np.full(len(wealths), -log2(len(wealths)))
        if log2_weights is None
        else np.array(list(log2_weights), dtype=np.float64)
    )
    return float(np.logaddexp2.reduce(wealths + weights))


def evidence_bits(answers: Answers, labels: Labels, classes: int) -> float:
    """Return log2 of the experts' mean wealth for a suspect fed and read in one way."""
    bets = expert_bets(answers, labels, classes)
    return log2_mean(float(bet.sum()) for bet in bets.values())


# The count, for those who know the paper.


def count_hits(answers: Answers, labels: Labels) -> int:
    """Return how often the top class is the label."""
    return int((answers.top == labels).sum())


def binomial_tail(hits: int, n: int, classes: int) -> Fraction:
    """Return P(X >= hits) for X ~ Binomial(n, 1/K), exactly.

    ``sum over i >= hits of C(n, i) (K-1)**(n-i) / K**n``.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n}")
    favourable = 0
    power = 1  # (K - 1) ** (n - i), built up while i runs down from n
    for i in range(n, hits - 1, -1):
        favourable += comb(n, i) * power
        power *= classes - 1
    return Fraction(favourable, classes**n)


def log10_fraction(value: Fraction) -> float:
    """Return log10 of a positive fraction whose parts may be far beyond a float."""
    return log10(value.numerator) - log10(value.denominator)


def fraction_text(value: Fraction) -> list[str]:
    """Return numerator and denominator in decimal digits, however long they are."""
    return [f"{Decimal(part):f}" for part in (value.numerator, value.denominator)]


# Parts of the experts.


def _log2_softmax(scores: NDArray[np.float64], labels: Labels) -> Bets:
    """Return log2 of the probability that the softmax of each row gives to its label."""
    above = scores - scores.max(axis=1, keepdims=True)
    own = above[np.arange(len(labels)), labels]
    bets: Bets = (own - np.log(np.exp(above).sum(axis=1))) / log(2.0)
    return bets


def _before(events: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return, for each i, the sum over the rows before i."""
    values = events.astype(np.float64)
    return np.cumsum(values, axis=0) - values


def _earlier_equals(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, for each i, how many earlier rows are the same as row i.

    Args:
        rows: int64 [n, columns].
    """
    group = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    position = np.arange(len(group)) - np.repeat(starts, np.diff(np.r_[starts, len(group)]))
    earlier = np.empty(len(group))
    earlier[order] = position
    return earlier


def _label_ranks(scores: NDArray[np.float64], labels: Labels, classes: int) -> NDArray[np.int64]:
    """Return the place of each label, 0 for the highest score; ties go to the lower class."""
    known = scores[:, :classes]
    columns = known.shape[1]
    has_score = labels < columns
    own = known[np.arange(len(labels)), np.where(has_score, labels, 0)][:, None]
    ahead = (known > own) | ((known == own) & (np.arange(columns) < labels[:, None]))
    return np.where(has_score, ahead.sum(axis=1), labels).astype(np.int64)


def _rank_bin(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bin of 0-based ranks: 0 | 1 | 2-3 | 4-7 | ... are bins 0, 1, 2, 3, ..."""
    return np.frexp(ranks.astype(np.float64))[1].astype(np.int64)


def _likeness(
    rows: NDArray[np.float64], seen: NDArray[np.float64], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``max(0, cos(row_i - mean_i, seen_j - mean_i))**4``, [rows, seen]; 0 without a norm.

    The centred products are expanded, so that no [rows, seen, C] array is ever made.
    """
    centre = (means * means).sum(axis=1)[:, None]
    offset = means @ seen.T
    products = rows @ seen.T - (rows * means).sum(axis=1)[:, None] - offset + centre
    seen_squared = (seen * seen).sum(axis=1)[None, :] - 2.0 * offset + centre
    row_squared = ((rows - means) ** 2).sum(axis=1)[:, None]
    scale = (seen * seen).sum(axis=1)[None, :] + centre
    norms = np.sqrt(row_squared) * np.sqrt(np.maximum(seen_squared, 0.0))
    usable = (seen_squared > 1e-12 * scale) & (row_squared > 0.0)
    cosine = np.divide(products, norms, out=np.zeros_like(products), where=usable & (norms > 0.0))
    likeness: NDArray[np.float64] = np.clip(cosine, 0.0, 1.0) ** NEIGHBOUR_POWER
    return likeness
