"""Similarity of score vectors: the cosine between them, relative to the mean of all rows so far.

Differences are taken before products: expanded products would cancel where all rows share much, as
embeddings do.  The differences are bit-identical everywhere, so whether a row lies exactly on the
mean does not depend on rounding, and the cosine is as exact as its sums.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wmx._internal.budget import require_room_for_floats
from wmx.statistics.arithmetic import of_ordinary_size, running
from wmx.statistics.predictions import are_numbers

WINDOW = 256
COLUMNS = 64  # that are multiplied at a time
BLOCK_ELEMENTS = 2**17  # differences in memory at a time: they stay in the cache

Floats = NDArray[np.float64]


class Likeness:
    """Compares each row of scores with the 256 rows before it; rows are given in their order."""

    def __init__(self) -> None:
        self._count = 0
        self._origin: Floats | None = None
        self._total: Floats  # [C], of all rows
        self._latest: Floats  # [256 or fewer, C]

    def update(self, scores: Floats) -> Floats:
        """Return ``max(0, cos)**4`` of each row with the 256 before it.

        Args:
            scores: float64 [n, C], finite; missing scores count as 0.

        Returns:
            float64 [n, 256], the latest of the earlier rows last; 0 where there is none, and where
            one of the two lies on the mean.

        Raises:
            LimitError: it would take more memory than is left of the budget.
        """
        self._require_room(scores)
        rows = of_ordinary_size(np.where(are_numbers(scores), scores, 0.0))
        if self._origin is None:
            self._origin = rows[0].copy()
            self._total = np.zeros(rows.shape[1])
            self._latest = np.zeros((0, rows.shape[1]))
        values = rows - self._origin
        totals = running(self._total, values)
        earlier = np.arange(self._count, self._count + len(values))
        means = totals / (earlier + 1)[:, None]
        own = values - means
        weights = np.zeros((len(values), WINDOW))
        earlier_rows = _earlier_rows(self._latest, values, _width(earlier[-1]))
        for block in _blocks(earlier, min(COLUMNS, rows.shape[1])):
            slots = slice(-_width(earlier[block][-1]), None)
            weights[block, slots] = _weights(
                earlier_rows[block, :, slots], means[block], own[block]
            )
        weights[WINDOW - np.arange(WINDOW) > earlier[:, None]] = 0.0
        self._count += len(values)
        self._total = totals[-1]
        self._latest = np.concatenate([self._latest, values])[-WINDOW:]
        return weights

    def _require_room(self, scores: Floats) -> None:
        """Check the memory for copies of earlier rows.

        They are laid out anew, column by column, and are kept once more with the next ones.
        """
        width = _width(self._count + len(scores) - 1)
        rows = width + min(self._count, WINDOW)
        require_room_for_floats(rows * scores.shape[1], "comparing the predictions")


def _width(earlier: int | np.int64) -> int:
    """Return the least power of two, up to 256, that has room for all earlier rows.

    It depends only on the index of a row, so that increments do not change the order of sums.
    """
    return min(WINDOW, 1 << max(0, int(earlier) - 1).bit_length())


def _earlier_rows(latest: Floats, values: Floats, width: int) -> Floats:
    """Return a view [n, C, width] of the rows before each of ``values``, 0 before the first."""
    columns = np.zeros((values.shape[1], width + len(values) - 1))
    known = np.concatenate([latest, values[:-1]])
    columns[:, columns.shape[1] - len(known) :] = known.T
    return sliding_window_view(columns, width, axis=1).transpose(1, 0, 2)


def _blocks(earlier: NDArray[np.int64], columns: int) -> Iterator[slice]:
    """Yield slices of rows that are compared with one width and whose differences fit the cache."""
    start = 0
    while start < len(earlier):
        width = _width(earlier[start])
        rows = max(1, BLOCK_ELEMENTS // (width * columns))
        if width < WINDOW:
            rows = min(rows, width - int(earlier[start]) + 1)
        yield slice(start, start + rows)
        start += rows


def _weights(seen: Floats, means: Floats, own: Floats) -> Floats:
    """Return ``max(0, cos(own_i, seen_ij - mean_i))**4``, 0 where a vector has no length.

    Args:
        seen: float64 [n, C, width].
        means: float64 [n, C].
        own: float64 [n, C], already without the mean.

    Returns:
        float64 [n, width].
    """
    products, squares = np.zeros((2, len(own), seen.shape[2]))
    own_squares = np.zeros((len(own), 1))
    for start in range(0, own.shape[1], COLUMNS):
        columns = slice(start, start + COLUMNS)
        parts, own_parts = seen[:, columns] - means[:, columns, None], own[:, columns]
        products += np.matmul(own_parts[:, None, :], parts)[:, 0, :]
        squares += np.einsum("icj,icj->ij", parts, parts)
        own_squares += np.einsum("ic,ic->i", own_parts, own_parts)[:, None]
    own_squares[own_squares == 0.0] = 1.0  # what has no length has no products either
    squares[squares == 0.0] = 1.0
    ahead = np.maximum(products, 0.0)
    squared_cosines = ahead / own_squares * ahead / squares
    weights: Floats = np.square(np.minimum(squared_cosines, 1.0))
    return weights
