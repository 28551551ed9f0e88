"""Online standardization of a suspect's scores per class, so that drift and scale do not matter.

Further training shifts and stretches the scores of all triggers alike, towards some classes and
away from others; an API rounds them, and returns probabilities where the owner's model had logits.
The differences between triggers survive all this.  Nothing here depends on a label, and a row
depends only on itself and on earlier rows.

Order and rounding of every operation are part of the protocol (:mod:`wmx.statistics.arithmetic`).
"""

import numpy as np
from numpy.typing import NDArray

from wmx.statistics.arithmetic import logarithm, of_ordinary_size, running, sum_of_each
from wmx.statistics.predictions import are_numbers

SPREAD_PRIOR = 10.0
SMALLEST_PROBABILITY = 1e-12

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Standardizer:
    """Standardizes rows of scores in their order.

    While all scores lie in 0..1 they count as probabilities and are replaced by their logarithms.
    Then the mean of the row is subtracted, so that differences within a row count, and from each
    score the mean of its class up to its row.  The result is divided by the standard deviation of
    the class up to its row, pooled with ten more rows of the variance of the average class.

    Args:
        columns: number of scores in a row.
    """

    def __init__(self, columns: int) -> None:
        self._probable = True  # whether all rows so far held probabilities
        self._floor = 1.0  # the smallest positive probability so far
        self._origin = np.zeros(columns)  # of each class, its first value
        self._count = np.zeros(columns)
        self._total = np.zeros(columns)
        self._squares = np.zeros(columns)  # sums of squared differences from the mean

    def update(self, scores: Floats) -> Floats:
        """Return the standardized scores of more rows.

        Args:
            scores: float64 [n, columns], finite; the largest float64 stands for a missing score.

        Returns:
            float64 [n, columns]; 0, the average, for missing scores and where nothing has varied.
        """
        present = are_numbers(scores)
        values = self._from_origin(_centered(self._logarithms(scores, present), present), present)
        counts = running(self._count, present)
        totals = running(self._total, values)
        means = totals / np.maximum(counts, 1.0)
        squares = running(self._squares, self._growth(values, counts, totals))
        deviations = np.sqrt(
            (squares + SPREAD_PRIOR * _average_variance(squares, counts)) / (counts + SPREAD_PRIOR)
        )
        self._count, self._total, self._squares = counts[-1], totals[-1], squares[-1]
        usable = present & (deviations > 0.0)
        return np.divide(values - means, deviations, out=np.zeros_like(values), where=usable)

    def _logarithms(self, scores: Floats, present: Flags) -> Floats:
        """Return the logarithms of rows that are probabilities, other rows unchanged.

        Rows hold probabilities up to the first with a score outside 0..1.  They may be rounded, and
        0 then means "less than this API resolves": it counts as half the smallest positive
        probability in the rows so far.
        """
        within = ((scores >= 0.0) & (scores <= 1.0)).all(axis=1)
        probable = np.logical_and.accumulate(within & self._probable)[:, None]
        positive = np.where(probable & (scores > 0.0), scores, 1.0).min(axis=1)
        floors = np.minimum.accumulate(np.minimum(positive, self._floor))
        least = np.maximum(floors / 2.0, SMALLEST_PROBABILITY)[:, None]
        self._probable, self._floor = bool(probable[-1, 0]), float(floors[-1])
        values = np.where(present, scores, 0.0)
        if not probable.any():
            return values
        probabilities = np.maximum(np.where(probable, scores, 1.0), least)
        return np.where(probable, logarithm(probabilities), values)

    def _from_origin(self, values: Floats, present: Flags) -> Floats:
        """Subtract the first value of each class, to keep the digits in which rows differ."""
        first = values[present.argmax(axis=0), np.arange(values.shape[1])]
        self._origin = np.where(self._count > 0, self._origin, first)
        return np.where(present, values - self._origin, 0.0)

    def _growth(self, values: Floats, counts: Floats, totals: Floats) -> Floats:
        """Return what each value adds to the sum of squares about its class' mean.

        With m the mean of the k - 1 values before the value x it is ``(x - m)**2 (k - 1) / k``
        (R. Youngs, E. Cramer, *Some results relevant to choice of sum and sum-of-product
        algorithms*, Technometrics 13, 1971).
        """
        counts_before = np.vstack([self._count, counts[:-1]])
        totals_before = np.vstack([self._total, totals[:-1]])
        present = counts > counts_before
        differences = values - totals_before / np.maximum(counts_before, 1.0)
        growth = (differences * differences) * counts_before / np.maximum(counts, 1.0)
        return np.where(present, growth, 0.0)


def _centered(values: Floats, present: Flags) -> Floats:
    """Subtract from each row its first number and then its mean."""
    values = of_ordinary_size(values)
    first = values[np.arange(len(values)), present.argmax(axis=1)][:, None]
    differences = np.where(present, values - first, 0.0)
    counted = np.maximum(present.sum(axis=1), 1)
    centered: Floats = differences - (sum_of_each(differences) / counted)[:, None]
    return centered


def _average_variance(squares: Floats, counts: Floats) -> Floats:
    """Return the mean of the variances of all classes with scores so far, float64 [n, 1]."""
    variances = squares / np.maximum(counts, 1.0)
    counted = np.maximum((counts > 0).sum(axis=1), 1)
    average: Floats = (sum_of_each(variances) / counted)[:, None]
    return average
