"""Scores in units of what each class has had so far: what is left once drift and scale are off.

Whoever trains on shifts and stretches the scores of all triggers alike, towards some classes and
away from others; an API rounds them, and gives probabilities where the owner had logits.  What
tells one trigger from the next outlives all this.  Nothing here looks at a label, and a row hangs
on itself and on earlier rows alone.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
SPREAD_PRIOR = 10.0
SMALLEST_PROBABILITY = 1e-12
BEYOND_SQUARING = 1e100

Floats = NDArray[np.float64]


def unit_scale(scores: Floats) -> Floats:
    """Divide each row by its largest magnitude where that is beyond squaring.

    Rows of ordinary size stay as they are: likeness has to see their scale.
    """
    size = np.abs(scores).max(axis=1, keepdims=True)
    return np.where(size > BEYOND_SQUARING, scores / np.maximum(size, 1.0), scores)


def standardised(scores: Floats) -> Iterator[Floats]:
    """Yield the standardised scores in blocks of 1,024 rows, so that memory is bounded.

    As long as all scores lie in 0..1 they are probabilities, and logarithms take their place.  Then
    the mean of the row is taken off, so that what counts is differences within a row, and from each
    score the mean of its class up to its row.  What is left is divided by the standard deviation of
    the class up to its row, which is pooled: ten more rows have the variance of the average class.

    Args:
        scores: float64 [n, C], finite; the largest magnitude there is stands for no number.

    Yields:
        float64 [rows, C]; 0, the average, where there is no number and where nothing has varied.
    """
    columns = scores.shape[1]
    probable, floor = True, 1.0
    origin: Floats | None = None
    count, total, squares = np.zeros(columns), np.zeros(columns), np.zeros(columns)
    for start in range(0, len(scores), BLOCK):
        block = scores[start : start + BLOCK]
        speaks = np.abs(block) < np.finfo(np.float64).max
        values, probable, floor = _logarithms(np.where(speaks, block, 0.0), probable, floor)
        values = np.where(speaks, unit_scale(values), 0.0)
        values -= values.sum(axis=1, keepdims=True) / _at_least_one(speaks.sum(axis=1))[:, None]
        if origin is None:  # sums of squares lose no digits to what all rows share
            origin = values[0].copy()
        values = np.where(speaks, values - origin, 0.0)
        counts = _running(count, speaks)
        totals = _running(total, values)
        sums_of_squares = _running(squares, values * values)
        means = totals / _at_least_one(counts)
        variances = np.maximum(sums_of_squares / _at_least_one(counts) - means * means, 0.0)
        heard = counts > 0
        average = (variances * heard).sum(axis=1) / _at_least_one(heard.sum(axis=1))
        pooled = counts * variances + SPREAD_PRIOR * average[:, None]
        deviations = np.sqrt(pooled / (counts + SPREAD_PRIOR))
        usable = speaks & (deviations > 0.0)
        yield np.divide(values - means, deviations, out=np.zeros_like(values), where=usable)
        count, total, squares = counts[-1], totals[-1], sums_of_squares[-1]


def _logarithms(scores: Floats, probable: bool, floor: float) -> tuple[Floats, bool, float]:
    """Return the logarithms of rows that are probabilities, other rows as they are, and the state.

    Rows hold probabilities up to the first with a score outside 0..1.  They may be rounded, and 0
    then means "less than what this API still tells": it counts as half the smallest positive
    probability in the rows so far.

    Args:
        scores: float64 [rows, C].
        probable: whether all earlier rows held probabilities.
        floor: the smallest positive probability in earlier rows, 1 before the first.
    """
    within = ((scores >= 0.0) & (scores <= 1.0)).all(axis=1)
    probably = np.logical_and.accumulate(within & probable)
    positive = np.where(probably[:, None] & (scores > 0.0), scores, 1.0).min(axis=1)
    floors = np.minimum.accumulate(np.minimum(positive, floor))
    least = np.maximum(floors / 2.0, SMALLEST_PROBABILITY)[:, None]
    clipped = np.maximum(np.where(probably[:, None], scores, 1.0), least)
    values = np.where(probably[:, None], np.log(clipped), scores)
    return values, bool(probably[-1]), float(floors[-1])


def _running(before: Floats, rows: NDArray[np.generic]) -> Floats:
    """Return the sums down to each row, on top of what earlier blocks summed up to."""
    return np.cumsum(np.vstack([before, rows.astype(np.float64)]), axis=0)[1:]


def _at_least_one(counts: NDArray[np.generic]) -> Floats:
    return np.maximum(counts.astype(np.float64), 1.0)
