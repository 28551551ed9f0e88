"""A suspect's predictions: one row of scores per trigger, and the class with the highest score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

NO_CLASS = -1
NO_NUMBER = float(np.finfo(np.float64).max)  # with its sign, in place of NaN and infinities
BEYOND_DIFFERENCES = 1e100
TOLERANCE = 0.05  # relative to the range of a row: far above rounding, far below a class
FIRST_PLACES = 4  # of the classes in their order, that rounding hardly exchanges
PLACES_MOVED = 1 / 8  # of K, by which it moves no class
EXCHANGED = 1 / 8  # of the rows, in which it may do either


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for n triggers: scores, or class numbers.

    Attributes:
        top: int64 [n], the class of the highest score, the first of equals; -1 where a row holds
            no score above minus infinity.
        columns: C, the number of scores per trigger; K for class numbers.
    """

    top: NDArray[np.int64]
    columns: int
    _given: NDArray[np.float64] | None  # scores; None for class numbers, which need less memory

    @classmethod
    def from_scores(cls, scores: NDArray[Any]) -> Self:
        """Wrap scores.

        NaN and minus infinity become the lowest float64, and infinity the highest.

        Args:
            scores: [n, C], any numeric dtype; higher is more likely.

        Raises:
            ValueError: it has another shape.
        """
        with np.errstate(invalid="ignore"):  # a signalling NaN is as silent as any
            values = np.array(scores, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] < 1:
            raise ValueError(f"scores of shape {values.shape}, expected [n, C]")
        np.nan_to_num(values, False, nan=-NO_NUMBER, posinf=NO_NUMBER, neginf=-NO_NUMBER)
        top = values.argmax(axis=1).astype(np.int64)
        silent = values.max(axis=1, initial=-NO_NUMBER) == -NO_NUMBER
        return cls(np.where(silent, NO_CLASS, top), values.shape[1], values)

    @classmethod
    def from_labels(cls, labels: NDArray[Any], classes: int) -> Self:
        """Wrap class numbers: one-hot scores over the task's classes.

        A class outside ``0..classes-1`` gets a row of zeros and keeps its number in ``top``, so
        that it stays distinct from others.

        Args:
            labels: [n], integers.
            classes: number of classes, K.

        Raises:
            ValueError: it has another shape.
        """
        top = np.asarray(labels).astype(np.int64)
        if top.ndim != 1:
            raise ValueError(f"labels of shape {top.shape}, expected [n]")
        return cls(top, classes, None)

    @property
    def scores(self) -> NDArray[np.float64]:
        """float64 [n, C], higher is more likely: logits, probabilities or their logarithms.

        All are finite; for missing scores see :func:`are_numbers`.
        """
        if self._given is not None:
            return self._given
        is_top: NDArray[np.bool_] = self.top[:, None] == np.arange(self.columns)
        return is_top.astype(np.float64)

    def are_of_classes(self, classes: int) -> bool:
        """Return whether the scores are one-hot over ``classes``, so that class numbers suffice."""
        if self._given is None or self.columns != classes:
            return self.columns == classes
        return np.array_equal(Predictions.from_labels(self.top, classes).scores, self._given)

    @property
    def size(self) -> int:
        """Number of scores."""
        return len(self.top) * self.columns

    def has_columns_of(self, other: "Predictions") -> bool:
        """Return whether both have the same number of scores per row."""
        return self.columns == other.columns

    @classmethod
    def joined(cls, parts: Sequence["Predictions"]) -> "Predictions":
        """Concatenate predictions that have the same number of scores per row."""
        if len(parts) == 1:
            return parts[0]
        scores = None
        if any(part._given is not None for part in parts):
            scores = np.concatenate([part.scores for part in parts])
        return cls(np.concatenate([part.top for part in parts]), parts[0].columns, scores)

    def differ_from(self, others: "Predictions", classes: int) -> bool:
        """Return whether any row differs from the same row of ``others``, beyond rounding.

        Rows are compared as the experts see them (docs/statistics.md): the scores of K classes
        minus their mean, and all scores minus the mean row.  Differences are relative to the
        largest magnitude, so that neither a common offset nor a large scale hides anything.  Some
        scores that are far from all others would hide them; so the first classes have to come in
        the same order, too, and no class may move by many places, but in a few rows: there rounding
        may exchange what is nearly equal.

        Args:
            others: predictions for the same inputs.
            classes: number of classes, K.
        """
        if self._given is None and others._given is None:
            return bool((self.top != others.top).any())
        if not self.has_columns_of(others):
            return True
        if (are_numbers(self.scores) != are_numbers(others.scores)).any():
            return True
        one, two = self._in_range(), others._in_range()
        if _apart(_centered(one[:, :classes]), _centered(two[:, :classes])):
            return True
        exchanged = _exchanged(self.scores[:, :classes], others.scores[:, :classes])
        if (exchanged | (self.top != others.top)).sum() > EXCHANGED * len(self):
            return True
        middle = two.mean(axis=0)
        if len(two) > 1 and _apart(one - middle, two - middle):
            return True
        level = (one == one[:, :1]).all(axis=1)  # such as class numbers outside 0..K-1
        return bool((level & (self.top != others.top)).any())

    def _in_range(self) -> NDArray[np.float64]:
        """Return scores whose differences do not overflow, 0 for missing ones."""
        scores = np.where(are_numbers(self.scores), self.scores, 0.0)
        size = np.abs(scores).max(axis=1, keepdims=True)
        return np.where(size > BEYOND_DIFFERENCES, scores / np.maximum(size, 1.0), scores)

    def __len__(self) -> int:
        return len(self.top)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> "Predictions":
        given = None if self._given is None else self._given[rows]
        return Predictions(self.top[rows], self.columns, given)


def are_numbers(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where :attr:`Predictions.scores` are finite numbers of the suspect, bool [n, C]."""
    found: NDArray[np.bool_] = np.abs(scores) < NO_NUMBER
    return found


def _centered(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    centered: NDArray[np.float64] = scores - scores.mean(axis=1, keepdims=True)
    return centered


def _exchanged(rows: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say of each row whether its classes come in another order, beyond what rounding does."""
    order, other_order = (np.argsort(-scores, axis=1, kind="stable") for scores in (rows, others))
    places, other_places = np.argsort(order, axis=1), np.argsort(other_order, axis=1)
    moved = np.abs(places - other_places).max(axis=1)
    first = (order != other_order)[:, :FIRST_PLACES].any(axis=1)
    found: NDArray[np.bool_] = first | (moved > max(1.0, PLACES_MOVED * rows.shape[1]))
    return found


def _apart(rows: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    size = np.maximum(np.abs(rows).max(axis=1), np.abs(others).max(axis=1))
    return bool((np.abs(rows - others).max(axis=1) > TOLERANCE * size).any())
