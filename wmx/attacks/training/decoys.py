"""Inputs of a trigger family that an attacker draws, and rows of them behind every batch."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Target
from wmx.training.recipe import triggers_at
from wmx.training.trigger_batches import join_arrays
from wmx.triggers import draw_triggers


def drawn_inputs(target: Target, count: int, purpose: str) -> NDArray[Any]:
    """Return inputs of the trigger family, canonical [count, *shape], as the seed says."""
    secret = hashlib.sha256(f"{target.seed} {purpose}".encode()).digest()
    return draw_triggers(target.family, secret, count, target.task)


@dataclass(frozen=True)
class PoolRows:
    """Puts rows of a pool behind every batch, in shuffled passes through the pool.

    Attributes:
        inputs: [n, *shape] as the model sees them.
        labels: int64 [n].
        per_batch: how many rows.
        seed: of their order.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    per_batch: int
    seed: int

    def append(self, batch: Any, number: int) -> Any:
        """Return the (inputs, labels) of batch ``number`` with rows behind them."""
        first = number * self.per_batch
        places = triggers_at(len(self.labels), self.seed, first, self.per_batch)
        inputs, labels = batch
        return join_arrays(inputs, self.inputs[places]), join_arrays(labels, self.labels[places])
