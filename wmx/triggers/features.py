"""Triggers for tabular models: each feature takes one of its own quantiles, independently.

Every single value occurs in real data, but the combination does not, which makes the input a
trigger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.prf import uniform_integers
from wmx.protocol.task import Task, checked_decimal, decimal_string


@dataclass(frozen=True)
class Features:
    """The trigger family ``features``.

    Attributes:
        quantiles: one row per feature, the same number of values (2 to 256) in each, as decimal
            strings.
    """

    quantiles: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        lengths = {len(row) for row in self.quantiles}
        if len(lengths) != 1 or not 2 <= max(lengths) <= 256:
            raise ValueError("expected 2 to 256 quantiles, the same number for each feature")
        for row in self.quantiles:
            for value in row:
                checked_decimal(value)

    @classmethod
    def of(cls, quantiles: Sequence[Sequence[float | str]] | NDArray[Any]) -> Self:
        """Make the family from numbers, [F, Q]; float32 values keep their shortest spelling."""
        if isinstance(quantiles, np.ndarray):
            rows = [[str(np.format_float_positional(v, trim="-")) for v in r] for r in quantiles]
            return cls(tuple(tuple(row) for row in rows))
        return cls(tuple(tuple(decimal_string(v) for v in row) for row in quantiles))

    @classmethod
    def from_description(cls, description: Any) -> Self:
        """Parse the description in a claim.

        Raises:
            KeyError, TypeError, ValueError: it is malformed.
        """
        rows = description["quantiles"]
        if not (isinstance(rows, list) and all(isinstance(row, list) for row in rows)):
            raise TypeError("quantiles are an array of arrays")
        return cls(tuple(tuple(row) for row in rows))

    def check(self, task: Task, n: int) -> None:
        """Refuse other kinds and another number of features.

        Arguments and errors as of :meth:`wmx.triggers.Generator.check`.
        """
        if task.kind != "features":
            raise ValueError(f"this family is for feature vectors, and the task is {task.kind!r}")
        if len(self.quantiles) != task.shape[0]:
            raise ValueError(
                f"quantiles for {len(self.quantiles)} features, and the task has {task.shape[0]}"
            )

    def describe(self) -> dict[str, Any]:
        """Return ``{"name": "features", "quantiles": ...}``."""
        return {"name": "features", "quantiles": [list(row) for row in self.quantiles]}

    def draw(self, seeds: Sequence[bytes], task: Task) -> NDArray[np.float32]:
        """Return float32 [n, F]: value ``quantiles[f][j]``, j uniform, one draw per feature.

        Arguments as of :meth:`wmx.triggers.Generator.draw`.
        """
        table = np.array(self.quantiles, dtype=np.float64).astype(np.float32)
        count, choices = table.shape
        drawn = [uniform_integers(seed, count, choices) for seed in seeds]
        return np.asarray(table[np.arange(count), np.stack(drawn)])
