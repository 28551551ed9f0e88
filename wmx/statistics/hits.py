"""The hit count of the paper, and the exact probability of so many hits by chance."""

from decimal import Decimal
from fractions import Fraction
from math import log

import numpy as np
from numpy.typing import NDArray

MAX_EXACT = 4096  # triggers; evidence discloses no more


def binomial_tail(hits: int, n: int, classes: int) -> Fraction | None:
    """Return P(X >= hits) for X ~ Binomial(n, 1/K), exactly; ``None`` for n above 4,096.

    ``sum over i >= hits of C(n, i) (K-1)**(n-i) / K**n``, in lowest terms.  It has about n times
    the digits of K, so for large n use the logarithm (:func:`log10_binomial_tail`).

    Args:
        hits: number of hits.
        n: number of triggers.
        classes: number of classes, K.

    Raises:
        ValueError: ``hits`` is not in ``0..n``.
    """
    _require_count(hits, n)
    if n > MAX_EXACT:
        return None
    term = favorable = 1  # C(n, i) (K - 1) ** (n - i), while i runs down from n
    for i in range(n, hits, -1):
        term = term * (i * (classes - 1)) // (n - i + 1)
        favorable += term
    return Fraction(favorable, classes**n)


def log10_binomial_tail(hits: int, n: int, classes: int) -> float:
    """Return log10 P(X >= hits) for X ~ Binomial(n, 1/K), to twelve digits, in O(n).

    With t_i the probability of i hits, ``t_(i+1) / t_i = (n - i) / ((i + 1) (K - 1))``.  The
    logarithms of all t_i, relative to the likeliest, are sums of those of such ratios, and
    P = upper / (upper + lower), whose logarithm loses no digits where P is close to 1.

    Args:
        hits: number of hits.
        n: number of triggers.
        classes: number of classes, K.

    Raises:
        ValueError: ``hits`` is not in ``0..n``.
    """
    _require_count(hits, n)
    if hits == 0:
        return 0.0
    i = np.arange(n, dtype=np.float64)
    above, below = n - i, (i + 1.0) * (classes - 1)
    ratios = above / below
    near_1 = (ratios > 0.5) & (ratios < 2.0)
    log_ratios = np.where(near_1, np.log1p((above - below) / below), np.log(ratios))
    mode = (n + 1) // classes
    logs = np.concatenate(
        [-np.cumsum(log_ratios[:mode][::-1])[::-1], [0.0], np.cumsum(log_ratios[mode:])]
    )
    odds_against = _log_sum(logs[:hits]) - _log_sum(logs[hits:])
    return 0.0 - float(np.logaddexp(0.0, odds_against)) / log(10.0)


def fraction_text(value: Fraction | None) -> list[str] | None:
    """Return numerator and denominator as decimal strings, ``None`` for ``None``."""
    if value is None:
        return None
    return [f"{Decimal(part):f}" for part in (value.numerator, value.denominator)]


def _require_count(hits: int, n: int) -> None:
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n}")


def _log_sum(logs: NDArray[np.float64]) -> float:
    """Return the logarithm of the sum of what these are the logarithms of."""
    largest = logs.max()
    return float(largest + np.log(np.exp(logs - largest).sum()))
