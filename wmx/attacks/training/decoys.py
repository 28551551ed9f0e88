"""Decoys: inputs of the trigger family that an attacker draws, and appends to batches."""

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
    """Draw decoys from the trigger family.

    Args:
        target: gives family, task and seed.
        count: number of decoys.
        purpose: selects the random stream.

    Returns:
        canonical [count, *shape].
    """
    secret = hashlib.sha256(f"{target.seed} {purpose}".encode()).digest()
    return draw_triggers(target.family, secret, count, target.task)


@dataclass(frozen=True)
class DecoyRows:
    """Appends decoys to every batch, in shuffled passes over all decoys.

    Attributes:
        inputs: [n, *shape], normalized.
        labels: int64 [n].
        per_batch: decoys appended to a batch.
        seed: of their order.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    per_batch: int
    seed: int

    def append(self, batch: Any, number: int) -> Any:
        """Return a batch with its decoys appended.

        Args:
            batch: (inputs, labels).
            number: of the batch, from 0 over the whole training.
        """
        first = number * self.per_batch
        places = triggers_at(len(self.labels), self.seed, first, self.per_batch)
        inputs, labels = batch
        return join_arrays(inputs, self.inputs[places]), join_arrays(labels, self.labels[places])
