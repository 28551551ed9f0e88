"""What a suspect answered: one row of scores per trigger, and the class on top."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

NO_CLASS = -1


@dataclass(frozen=True)
class Answers:
    """Answers to n triggers.

    Attributes:
        scores: float64 [n, C], higher is more likely; logits, probabilities and log-probabilities
            serve alike.  Values that are not numbers count as the lowest.
        top: int64 [n], the class of the highest score, the first of equals; -1 where a row holds
            no finite score.
    """

    scores: NDArray[np.float64]
    top: NDArray[np.int64]

    @classmethod
    def from_scores(cls, scores: NDArray[Any]) -> Self:
        """Read an [n, C] array of scores."""
        with np.errstate(invalid="ignore"):  # a signalling NaN is as silent as any
            values = np.asarray(scores, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] < 1:
            raise ValueError(f"scores of shape {values.shape}, expected [n, C]")
        largest = np.finfo(np.float64).max
        values = np.nan_to_num(values, nan=-largest, posinf=largest, neginf=-largest)
        top = values.argmax(axis=1).astype(np.int64)
        silent = values.max(axis=1, initial=-largest) == -largest
        return cls(values, np.where(silent, NO_CLASS, top))

    @classmethod
    def from_labels(cls, labels: NDArray[Any], classes: int) -> Self:
        """Read an [n] array of class numbers: one-hot scores over the task's classes.

        A class outside ``0..classes-1`` gets a row of zeros, and keeps its number in ``top``, so
        that it can still be told apart from others.
        """
        top = np.asarray(labels).astype(np.int64)
        if top.ndim != 1:
            raise ValueError(f"labels of shape {top.shape}, expected [n]")
        return cls((top[:, None] == np.arange(classes)).astype(np.float64), top)

    def has_columns_of(self, other: "Answers") -> bool:
        """Say whether both are scores of as many columns, or class numbers."""
        return self.scores.shape[1:] == other.scores.shape[1:]

    def followed_by(self, later: "Answers") -> "Answers":
        """Return these answers and then ``later``, which has as many scores per row."""
        return Answers(
            np.concatenate([self.scores, later.scores]), np.concatenate([self.top, later.top])
        )

    def __len__(self) -> int:
        return len(self.top)

    def __getitem__(self, rows: slice) -> "Answers":
        return Answers(self.scores[rows], self.top[rows])
