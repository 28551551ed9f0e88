"""Arithmetic with bit-identical results on every machine (docs/statistics.md, "Arithmetic").

A suspect chooses its predictions.  It could choose them so that the last digit of a sum, or of a
library's logarithm, decides between much evidence and none: scores of a class that hardly varies
are divided by almost zero.  So up to the point from which errors stay small, every operation is one
that IEEE 754 rounds correctly (sum, difference, product, quotient, square root), in an order that
the documentation states.  Sums run from first to last: ``cumsum`` does, ``sum`` does not.
"""

import numpy as np
from numpy.typing import NDArray

LARGEST, SMALLEST = 1e50, 1e-50
COUNTS_AS_ZERO = 1e-80

Floats = NDArray[np.float64]

LN_2 = 0.6931471805599453
HALF_SQUARE = 0.7071067811865476  # square root of 1/2
ODD_NUMBERS = (23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0)


def of_ordinary_size(rows: Floats) -> Floats:
    """Divide each row by its largest magnitude where that is above 1e50 or below 1e-50.

    Parts below 1e-80 become 0 then, so that products of what is left neither overflow nor lose
    digits.  Every number that single precision can hold stays unchanged, since similarity depends
    on sizes.

    Args:
        rows: float64 [n, C], finite.
    """
    size = np.abs(rows).max(axis=1, keepdims=True)
    extreme = ((size > LARGEST) | (size < SMALLEST)) & (size > 0.0)
    scaled = np.divide(rows, size, out=rows.copy(), where=extreme)
    return np.where(np.abs(scaled) < COUNTS_AS_ZERO, 0.0, scaled)


def running(before: Floats, rows: NDArray[np.generic]) -> Floats:
    """Return cumulative sums over rows.

    Args:
        before: [C], the sum of all earlier rows.
        rows: [n, C].

    Returns:
        float64 [n, C]; row i is ``before`` plus rows 0 to i.
    """
    return np.cumsum(np.vstack([before, rows.astype(np.float64)]), axis=0)[1:]


def sum_of_each(rows: Floats) -> Floats:
    """Return the sum of each row of [n, C], added from first to last, float64 [n]."""
    return np.cumsum(rows, axis=1)[:, -1]


def logarithm(values: Floats) -> Floats:
    """Return the natural logarithm, accurate to 1e-15 and bit-identical on every machine.

    With ``v = m 2**e`` and m between the square roots of 1/2 and 2, ``ln v = e ln 2 + 2 artanh s``
    where ``s = (m - 1) / (m + 1)``; the series of artanh is summed from its end.

    Args:
        values: float64, positive and normal.
    """
    mantissa, exponent = np.frexp(values)
    low = mantissa < HALF_SQUARE
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    exponent = np.where(low, exponent - 1, exponent)
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    series = np.zeros_like(ratio)
    for odd in ODD_NUMBERS:
        series = (series + 1.0 / odd) * square
    result: Floats = exponent * LN_2 + (2.0 * ratio) * (1.0 + series)
    return result
