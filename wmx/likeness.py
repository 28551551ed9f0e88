"""How alike answers are: the cosine between them, seen from the mean of all answers so far.

Differences come first and products after them: expanded products would cancel where all answers
share much, as embeddings do.  The differences are the same to the bit everywhere, so whether an
answer lies exactly on the mean is no matter of rounding, and the cosine is as exact as its sums.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wmx.reproducible import of_ordinary_size, running

WINDOW = 256
BLOCK_ELEMENTS = 2**16  # differences in memory at a time, unless one row alone has more

Floats = NDArray[np.float64]


class Likeness:
    """Compares each answer with the 256 before it; answers are given in their order."""

    def __init__(self) -> None:
        self._count = 0
        self._origin: Floats | None = None
        self._total: Floats  # [C], of all answers
        self._window: Floats  # [256, C], the last of them; 0 before the first

    def update(self, scores: Floats) -> Floats:
        """Return ``max(0, cos)**4`` of each answer with the 256 before it.

        Args:
            scores: float64 [n, C], finite.

        Returns:
            float64 [n, 256], the latest of the earlier answers last; 0 where there is none, and
            where one of the two lies on the mean.
        """
        rows = of_ordinary_size(scores)
        if self._origin is None:
            self._origin = rows[0].copy()
            self._total = np.zeros(rows.shape[1])
            self._window = np.zeros((WINDOW, rows.shape[1]))
        values = rows - self._origin
        totals = running(self._total, values)
        counts = np.arange(self._count + 1, self._count + 1 + len(values))[:, None]
        means = totals / counts
        known = np.concatenate([self._window, values])
        earlier = sliding_window_view(np.ascontiguousarray(known[:-1].T), WINDOW, axis=1)
        weights = _weights(earlier.transpose(1, 0, 2), means, values - means)
        ages = WINDOW - np.arange(WINDOW)
        weights[ages >= counts] = 0.0  # before the first answer
        self._count += len(values)
        self._total = totals[-1]
        self._window = known[-WINDOW:]
        return weights


def _weights(earlier: Floats, means: Floats, own: Floats) -> Floats:
    """Return ``max(0, cos(own_i, earlier_ij - mean_i))**4``, 0 where a vector has no length.

    Args:
        earlier: float64 [n, C, 256].
        means: float64 [n, C].
        own: float64 [n, C], already without the mean.

    Returns:
        float64 [n, 256].
    """
    weights = np.zeros((len(own), WINDOW))
    own_squares = np.einsum("ic,ic->i", own, own)[:, None]
    block = max(1, BLOCK_ELEMENTS // (WINDOW * own.shape[1]))
    for start in range(0, len(own), block):
        rows = slice(start, start + block)
        parts = earlier[rows] - means[rows, :, None]
        products = np.maximum(np.matmul(own[rows, None, :], parts)[:, 0, :], 0.0)
        squares = np.einsum("ica,ica->ia", parts, parts)
        own_square = own_squares[rows]
        # a product above 0 needs two lengths above 0
        np.divide(products, own_square, out=weights[rows], where=products > 0.0)
        np.divide(products, squares, out=products, where=products > 0.0)
        weights[rows] *= products  # the squared cosine
    np.minimum(weights, 1.0, out=weights)
    return np.square(weights, out=weights)
