"""The five experts that turn a suspect's predictions into evidence bits (docs/statistics.md).

Null hypothesis: the suspect was made without knowledge of the labels.  Then every label is uniform
over K classes and independent of all predictions of the suspect.  Before label ``y_i`` is used,
each expert states a distribution ``q_i`` over the labels from prediction i and from earlier pairs
of prediction and label; its wealth is multiplied by ``K q_i(y_i)``.  Any mean of
wealths with weights fixed beforehand is a non-negative martingale that starts at 1, so by Ville's
inequality ``P(ever W >= 2**b) <= 2**-b``, and ``bits = log2 W``.
"""

from collections.abc import Callable, Iterable
from math import log, log2
from typing import Protocol, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wmx._internal.budget import consult, require_room_for_floats
from wmx.statistics.normalization import Standardizer
from wmx.statistics.predictions import Predictions
from wmx.statistics.similarity import WINDOW, Likeness

BITS_WITH_TIMESTAMP = 64.0
BITS_WITHOUT_TIMESTAMP = 128.0

NEIGHBOR_PRIOR = 0.25
INVERSE_TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)
BLOCK_SCORES, BLOCK_ROWS = 2**17, 2**11  # scored at a time; one row may hold more
COPIES_OF_SCORES = 18  # that an expert holds at once, at most: of a block, as float64

Labels: TypeAlias = NDArray[np.int64]
Bets: TypeAlias = NDArray[np.float64]


def required_bits(trusted_timestamp: bool) -> float:
    """Return the bits at which a suspect counts as verified: 64 with a trusted timestamp, else 128.

    A forger who tries T claims gains log2 T bits, at the cost of one scrypt for each try.  If the
    suspect is already known, every try counts in full; if the claim is older than the suspect, the
    forger has to foresee its predictions.  That the claim is older cannot be checked here:
    whoever relies on 64 bits has to know it.

    Args:
        trusted_timestamp: whether the claim has a timestamp that the verifier trusts.
    """
    return BITS_WITH_TIMESTAMP if trusted_timestamp else BITS_WITHOUT_TIMESTAMP


# The experts.  Each is given predictions and labels in the order of the triggers, any number at a
# time, and returns float64 [n], the bets log2(K q_i(y_i)).


class Expert(Protocol):
    """Predicts labels from a suspect's predictions, and learns from earlier labels."""

    def update(self, predictions: Predictions, labels: Labels) -> Bets:
        """Return the bits gained or lost on the next triggers.

        Args:
            predictions: for the next n triggers, at least one.
            labels: int64 [n], values ``0..K-1``.

        Returns:
            ``log2(K q_i(y_i))``, float64 [n].
        """


class Agreement:
    """Hit or miss of the top class: the paper's count, with a Krichevsky-Trofimov rate.

    After h hits in t predictions a hit has probability ``(h + 1/2) / (t + 1)``; the rest is shared
    by the K - 1 other labels.  A class outside ``0..K-1`` predicts nothing and is not learned from.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._hits = self._counted = 0

    def update(self, predictions: Predictions, labels: Labels) -> Bets:
        """Return the bits of the next triggers; as :meth:`Expert.update`."""
        valid = (predictions.top >= 0) & (predictions.top < self._classes)
        hit = valid & (predictions.top == labels)
        rate = (self._hits + _before(hit) + 0.5) / (self._counted + _before(valid) + 1.0)
        self._hits += int(hit.sum())
        self._counted += int(valid.sum())
        probability = np.where(hit, rate, (1.0 - rate) / (self._classes - 1))
        return np.where(valid, np.log2(self._classes * probability), 0.0)


class Rank:
    """Rank of the label among the scores, in bins 1, 2, 3-4, 5-8, ...: labels that lost the top.

    Bin probabilities are Krichevsky-Trofimov estimates, uniform within a bin.  Only the scores of
    classes ``0..K-1`` count, a class without a score comes last; ties go to the lower class.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        ends = np.minimum(2 ** np.arange((classes - 1).bit_length() + 1), classes)
        self._sizes = np.diff(ends, prepend=0)  # 1, 1, 2, 4, ..., up to K places
        self._seen = np.zeros(len(self._sizes))

    def update(self, predictions: Predictions, labels: Labels) -> Bets:
        """Return the bits of the next triggers; as :meth:`Expert.update`."""
        bins = _rank_bin(_label_ranks(predictions.scores, labels, self._classes))
        seen = (bins[:, None] == np.arange(len(self._sizes))).astype(np.float64)
        counts = self._seen + _before(seen)
        rows = np.arange(len(labels))
        total = self._seen.sum() + rows
        self._seen = self._seen + seen.sum(axis=0)
        probability = (counts[rows, bins] + 0.5) / (total + 0.5 * len(self._sizes))
        bets: Bets = np.log2(self._classes * (probability / self._sizes[bins]))
        return bets


class Softmax:
    """Softmax of the standardized scores: how far a label stands out, not only at which rank.

    ``q_i(y)`` is proportional to ``exp(b z_i[y])`` with the scores of
    :mod:`wmx.statistics.normalization`.
    The inverse temperatures b = 1/4, 1/2, 1, 2, 4 are used side by side, each with a fifth of the
    wealth.  A class without a score stands at 0, the average.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._standardizer: Standardizer | None = None
        self._log2_wealths = np.zeros((len(INVERSE_TEMPERATURES), 1))

    def update(self, predictions: Predictions, labels: Labels) -> Bets:
        """Return the bits of the next triggers; as :meth:`Expert.update`."""
        known = predictions.scores[:, : self._classes]
        if self._standardizer is None:
            self._standardizer = Standardizer(known.shape[1])
        scores = self._standardizer.update(known)
        silent = self._classes - known.shape[1]
        bets = np.stack([_log2_softmax(b * scores, labels, silent) for b in INVERSE_TEMPERATURES])
        bets += log2(self._classes)
        wealths = np.cumsum(np.hstack([self._log2_wealths, bets]), axis=1)
        self._log2_wealths = wealths[:, -1:]
        return np.diff(np.logaddexp2.reduce(wealths, axis=0))


class Mapping:
    """A table from predicted class to label: classes permuted, merged, renamed or added.

    Each row starts from a Dirichlet prior of 1/K per label: ``(n[c, y] + 1/K) / (n[c] + 1)``.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._pairs: dict[tuple[int, int], int] = {}
        self._tops: dict[int, int] = {}

    def update(self, predictions: Predictions, labels: Labels) -> Bets:
        """Return the bits of the next triggers; as :meth:`Expert.update`."""
        probability = np.empty(len(labels))
        for i, pair in enumerate(zip(predictions.top.tolist(), labels.tolist(), strict=True)):
            of_pair, of_top = self._pairs.get(pair, 0), self._tops.get(pair[0], 0)
            probability[i] = (of_pair + 1.0 / self._classes) / (of_top + 1.0)
            self._pairs[pair], self._tops[pair[0]] = of_pair + 1, of_top + 1
        return np.log2(self._classes * probability)


class Neighbours:
    """Earlier labels weighted by the similarity of predictions: replaced heads, embeddings.

    The similarity of predictions i and j < i is ``max(0, cos)**4`` of the score vectors, both
    centered on the mean of the predictions up to i; only the last 256 earlier predictions count.  A
    prior mass of 1/4, uniform over the labels, is added to the summed weights.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._likeness = Likeness()
        self._labels = np.zeros(WINDOW, dtype=np.int64)  # of the last triggers

    def update(self, predictions: Predictions, labels: Labels) -> Bets:
        """Return the bits of the next triggers; as :meth:`Expert.update`."""
        weights = self._likeness.update(predictions.scores)
        known = np.concatenate([self._labels, labels])
        self._labels = known[-WINDOW:]
        same = sliding_window_view(known[:-1], WINDOW) == labels[:, None]
        total = weights.sum(axis=1) + NEIGHBOR_PRIOR
        for_label = (weights * same).sum(axis=1) + NEIGHBOR_PRIOR / self._classes
        bets: Bets = np.log2(self._classes * (for_label / total))
        return bets


EXPERTS: dict[str, Callable[[int], Expert]] = {
    "agreement": Agreement,
    "rank": Rank,
    "softmax": Softmax,
    "mapping": Mapping,
    "neighbours": Neighbours,
}


# The mixture.


class Experts:
    """The five experts, given predictions and labels in increments.

    The result does not depend on how the triggers were divided into increments, to the last bit.
    An increment of n triggers takes work and memory in proportion to n, however many came before::

        experts = Experts(classes=10)
        first = experts.update(predictions[:4], labels[:4])
        later = experts.update(predictions[4:], labels[4:])

    Args:
        classes: K, at least 2.
    """

    def __init__(self, classes: int) -> None:
        self._experts = {name: expert(classes) for name, expert in EXPERTS.items()}
        self._columns: int | None = None

    def update(self, predictions: Predictions, labels: Labels) -> dict[str, Bets]:
        """Score the next triggers, and learn from their labels.

        Args:
            predictions: for the next n triggers, with as many scores per row as all before them.
            labels: int64 [n], values ``0..K-1``.

        Returns:
            each expert's bets log2(K q_i(y_i)), float64 [n], in the order of the triggers.

        Raises:
            ValueError: the numbers of predictions and labels differ, or the number of scores
                per row changes.
            LimitError: it takes more time or memory than is left of the budget.
        """
        if len(predictions) != len(labels):
            raise ValueError(f"{len(predictions)} predictions for {len(labels)} labels")
        if self._columns not in (None, predictions.columns):
            raise ValueError(
                f"predictions of {predictions.columns} scores after some of {self._columns}"
            )
        self._columns = predictions.columns
        block = min(BLOCK_ROWS, max(1, BLOCK_SCORES // predictions.columns))
        bets: dict[str, list[Bets]] = {name: [] for name in self._experts}
        for start in range(0, len(labels), block):
            rows = slice(start, start + block)
            given, wanted = predictions[rows], labels[rows]
            for name, expert in self._experts.items():
                consult()  # one row may be of millions of classes, and take seconds
                require_room_for_floats(COPIES_OF_SCORES * given.size, "scoring the predictions")
                bets[name].append(expert.update(given, wanted))
        return {name: np.concatenate([np.zeros(0), *parts]) for name, parts in bets.items()}


def expert_bets(predictions: Predictions, labels: Labels, classes: int) -> dict[str, Bets]:
    """Return every expert's bits of all triggers at once; as :meth:`Experts.update`.

    Args:
        predictions: for n triggers.
        labels: int64 [n], values ``0..classes-1``.
        classes: K, at least 2.
    """
    return Experts(classes).update(predictions, labels)


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


def evidence_bits(predictions: Predictions, labels: Labels, classes: int) -> float:
    """Return the evidence of one probe: log2 of the mean wealth of the five experts.

    Args:
        predictions: for n triggers.
        labels: int64 [n], values ``0..classes-1``.
        classes: K, at least 2.
    """
    bets = expert_bets(predictions, labels, classes)
    return log2_mean(float(bet.sum()) for bet in bets.values())


def count_hits(predictions: Predictions, labels: Labels) -> int:
    """Return how often the top class is the label, which the paper counts.

    Args:
        predictions: for n triggers.
        labels: int64 [n].
    """
    return int((predictions.top == labels).sum())


# Parts of the experts.


def _log2_softmax(scores: NDArray[np.float64], labels: Labels, silent: int) -> Bets:
    """Return log2 of the probability that the softmax of each row gives to its label.

    Args:
        scores: float64 [n, C].
        labels: int64 [n], values ``0..C+silent-1``.
        silent: number of classes that stand at 0, after the C that have a score.
    """
    own, columns = _own_scores(scores, labels), scores.shape[1]
    highest = scores.max(axis=1, initial=-np.inf if silent == 0 else 0.0)
    powers = np.exp(scores - highest[:, None]).sum(axis=1) + silent * np.exp(-highest)
    bets: Bets = (np.where(labels < columns, own, 0.0) - highest - np.log(powers)) / log(2.0)
    return bets


def _before(events: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return, for each i, the sum over the rows before i."""
    values = events.astype(np.float64)
    return np.cumsum(values, axis=0) - values


def _label_ranks(scores: NDArray[np.float64], labels: Labels, classes: int) -> NDArray[np.int64]:
    """Return the place of each label, 0 for the highest score; ties go to the lower class."""
    known = scores[:, :classes]
    columns = known.shape[1]
    own = _own_scores(known, labels)[:, None]
    ahead = (known > own) | ((known == own) & (np.arange(columns) < labels[:, None]))
    return np.where(labels < columns, ahead.sum(axis=1), labels).astype(np.int64)


def _own_scores(scores: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """Return each row's score of its label; of the first class where the label has none."""
    own: NDArray[np.float64] = scores[
        np.arange(len(labels)), np.where(labels < scores.shape[1], labels, 0)
    ]
    return own


def _rank_bin(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bin of 0-based ranks: 0 | 1 | 2-3 | 4-7 | ... are bins 0, 1, 2, 3, ..."""
    return np.frexp(ranks.astype(np.float64))[1].astype(np.int64)
