"""A trigger slice: consecutive triggers of a claim with their labels, to query a suspect with."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.claim import Claim
from wmx.protocol.task import Task


@dataclass(frozen=True)
class TriggerSlice:
    """Triggers ``start .. start + len - 1`` of a claim; they are secret and not in ``repr``.

    Attributes:
        claim: that commits to the triggers.
        start: index of the first.
        triggers: [m, *task.shape] in canonical form.
        labels: int64 [m].
    """

    claim: Claim
    start: int
    triggers: NDArray[Any] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    def first(self, count: int) -> Self:
        """Return a slice of the first ``count`` triggers of this one."""
        return type(self)(self.claim, self.start, self.triggers[:count], self.labels[:count])

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def task(self) -> Task:
        """The claim's task."""
        return self.claim.task
