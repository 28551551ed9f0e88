"""What a suspect answered: one row of scores per trigger, and the class on top."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

NO_CLASS = -1
NO_NUMBER = float(np.finfo(np.float64).max)  # with its sign, in the place of NaN and infinities


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to n triggers: scores, or class numbers.

    Attributes:
        top: int64 [n], the class of the highest score, the first of equals; -1 where a row holds
            no score above minus infinity.
        columns: C, the number of scores to a trigger; K for class numbers.
    """

    top: NDArray[np.int64]
    columns: int
    _given: NDArray[np.float64] | None  # scores; None for class numbers, which need less memory

    @classmethod
    def from_scores(cls, scores: NDArray[Any]) -> Self:
        """Read an [n, C] array of scores.

        NaN and minus infinity become the lowest float64, and infinity the highest.
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
        """Read an [n] array of class numbers: one-hot scores over the task's classes.

        A class outside ``0..classes-1`` gets a row of zeros, and keeps its number in ``top``, so
        that it can still be told apart from others.
        """
        top = np.asarray(labels).astype(np.int64)
        if top.ndim != 1:
            raise ValueError(f"labels of shape {top.shape}, expected [n]")
        return cls(top, classes, None)

    @property
    def scores(self) -> NDArray[np.float64]:
        """float64 [n, C], higher is more likely: logits, probabilities or their logarithms.

        All are finite; for what is no number see :func:`are_numbers`.
        """
        if self._given is not None:
            return self._given
        is_top: NDArray[np.bool_] = self.top[:, None] == np.arange(self.columns)
        return is_top.astype(np.float64)

    @property
    def size(self) -> int:
        """Number of scores."""
        return len(self.top) * self.columns

    def has_columns_of(self, other: "Answers") -> bool:
        """Say whether both have as many scores per row."""
        return self.columns == other.columns

    def followed_by(self, later: "Answers") -> "Answers":
        """Return these answers and then ``later``, which has as many scores per row."""
        given = (
            None
            if self._given is None and later._given is None
            else np.concatenate([self.scores, later.scores])
        )
        return Answers(np.concatenate([self.top, later.top]), self.columns, given)

    def __len__(self) -> int:
        return len(self.top)

    def __getitem__(self, rows: slice) -> "Answers":
        given = None if self._given is None else self._given[rows]
        return Answers(self.top[rows], self.columns, given)


def are_numbers(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where :attr:`Answers.scores` are numbers that the suspect gave, and finite."""
    found: NDArray[np.bool_] = np.abs(scores) < NO_NUMBER
    return found
