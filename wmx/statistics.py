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
from math import comb, log2, log10
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.answers import Answers

BITS_WITH_TIMESTAMP = 64.0
BITS_WITHOUT_TIMESTAMP = 128.0

NEIGHBOUR_WINDOW = 1024
NEIGHBOUR_POWER = 4
NEIGHBOUR_PRIOR = 0.25
SMALLEST_PROBABILITY = 1e-12

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
    return _rank_bets(answers.scores, labels, classes)


def centred(answers: Answers, labels: Labels, classes: int) -> Bets:
    """Rank of the label among the scores less what each class has had on the average so far.

    Whoever trains on shifts the scores of all triggers alike, towards some classes and away from
    others; what tells one trigger from the next outlives that.  As :func:`rank`, after scores that
    are probabilities have been turned into their logarithms.
    """
    return _rank_bets(_less_their_means(answers.scores), labels, classes)


def _rank_bets(scores: NDArray[np.float64], labels: Labels, classes: int) -> Bets:
    bins = _rank_bin(_label_ranks(scores, labels, classes))
    sizes = np.bincount(_rank_bin(np.arange(classes)))
    seen = np.zeros((len(labels), len(sizes)))
    seen[np.arange(len(labels)), bins] = 1.0
    counts = _before(seen)[np.arange(len(labels)), bins]
    total = np.arange(len(labels))
    probability = (counts + 0.5) / (total + 0.5 * len(sizes)) / sizes[bins]
    return np.log2(classes * probability)


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
    mean of the answers up to i; only the last 1,024 earlier answers are looked at.  On top of the
    summed weights lies a prior mass of 1/4, uniform over the labels.
    """
    vectors = _unit_scale(answers.scores)
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
    "centred": centred,
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


def _less_their_means(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores less the mean of their column up to their row; what is silent stays silent.

    In blocks, whose sums are carried over: the same numbers wherever the rows end.
    """
    silence = np.finfo(np.float64).max  # how Answers holds what is no number
    less = np.empty_like(scores)
    total, count = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for start in range(0, len(scores), NEIGHBOUR_WINDOW):
        rows = slice(start, start + NEIGHBOUR_WINDOW)
        speaks = np.abs(scores[rows]) < silence
        values = _unit_scale(_logarithms(np.where(speaks, scores[rows], 0.0)))
        sums = np.cumsum(np.vstack([total, np.where(speaks, values, 0.0)]), axis=0)[1:]
        counts = np.cumsum(np.vstack([count, speaks]), axis=0)[1:]
        less[rows] = np.where(speaks, values - sums / np.maximum(counts, 1.0), scores[rows])
        total, count = sums[-1], counts[-1]
    return less


def _logarithms(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of rows that are probabilities, and other rows as they are.

    Only differences between scores of a row mean something.  Those of logarithms are those of the
    logits that the probabilities were made from; a probability below 1e-12 counts as that much.
    """
    sums = np.where(scores > 2.0, 2.0, scores).sum(axis=1, keepdims=True)  # never overflows
    probable = (scores.min(axis=1, keepdims=True) >= 0.0) & (np.abs(sums - 1.0) < 1e-3)
    return np.where(probable, np.log(np.maximum(scores, SMALLEST_PROBABILITY)), scores)


def _unit_scale(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide each row by its largest magnitude where that is beyond squaring.

    Rows of ordinary size stay as they are: likeness has to see their scale.
    """
    size = np.abs(scores).max(axis=1, keepdims=True)
    return np.where(size > 1e100, scores / np.maximum(size, 1.0), scores)


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
