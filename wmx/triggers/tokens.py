"""Triggers for token models: ids drawn uniformly from the vocabulary, without special ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.prf import uniform_integers
from wmx.protocol.task import Task

MAX_VOCABULARY = 2**31 - 1


@dataclass(frozen=True)
class Tokens:
    """The trigger family ``tokens``.

    Attributes:
        vocabulary: ids are ``0..vocabulary-1``.
        excluded: special ids that never occur (padding, separators, masks), sorted.
    """

    vocabulary: int
    excluded: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= self.vocabulary <= MAX_VOCABULARY:
            raise ValueError(f"vocabulary is {self.vocabulary}, expected 2 to {MAX_VOCABULARY}")
        if list(self.excluded) != sorted(set(self.excluded)):
            raise ValueError("excluded ids are not sorted and distinct")
        if self.excluded and not 0 <= self.excluded[0] <= self.excluded[-1] < self.vocabulary:
            raise ValueError("excluded ids lie outside the vocabulary")
        if self.vocabulary - len(self.excluded) < 2:
            raise ValueError("fewer than two ids are left to draw from")

    @classmethod
    def from_description(cls, description: Any) -> Self:
        """Parse the description in a claim.

        Raises:
            KeyError, TypeError, ValueError: it is malformed.
        """
        vocabulary, excluded = description["vocabulary"], description["excluded"]
        if not isinstance(excluded, list):
            raise TypeError("excluded is no array")
        if not all(type(value) is int for value in [vocabulary, *excluded]):
            raise TypeError("vocabulary and excluded hold integers")
        return cls(vocabulary, tuple(excluded))

    def check(self, task: Task, n: int) -> None:
        """Refuse other kinds; as :meth:`wmx.triggers.Generator.check`."""
        if task.kind != "tokens":
            raise ValueError(f"this family is for token sequences, and the task is {task.kind!r}")

    def describe(self) -> dict[str, Any]:
        """Return ``{"name": "tokens", "vocabulary": ..., "excluded": ...}``."""
        return {
            "name": "tokens",
            "vocabulary": self.vocabulary,
            "excluded": list(self.excluded),
        }

    def draw(self, seeds: Sequence[bytes], task: Task) -> NDArray[np.int32]:
        """Return int32 [n, L]: the j-th allowed id for j uniform, one draw per position.

        Arguments as of :meth:`wmx.triggers.Generator.draw`.
        """
        allowed = self.vocabulary - len(self.excluded)
        drawn = np.stack([uniform_integers(seed, task.shape[0], allowed) for seed in seeds])
        # the j-th allowed id is j plus the number of excluded ids before it
        gaps = np.array(self.excluded, dtype=np.int64) - np.arange(len(self.excluded))
        return (drawn + np.searchsorted(gaps, drawn, side="right")).astype(np.int32)
