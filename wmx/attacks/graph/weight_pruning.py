"""Global magnitude pruning.  Threat: the file; no data, no queries, seconds.

Source: Han, Pool, Tran, Dally, *Learning both Weights and Connections for Efficient Neural
Networks*, NeurIPS 2015; without retraining, for which see
:mod:`wmx.attacks.training.fine_pruning`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Target
from wmx.attacks.graph.rewriting import GraphAttack, kernels, replace_values, values_of
from wmx.errors import UsageError


@dataclass(frozen=True)
class WeightPruning(GraphAttack):
    """Set the weights of smallest magnitude over all kernels to zero.

    Attributes:
        share: fraction of weights to prune, 0 to 1.
    """

    share: float = 0.5

    threat = "has the file; no data, no queries, seconds"
    source = "Han et al., NeurIPS 2015"

    def changed(self, model: Any, target: Target) -> Any:
        """Prune in place."""
        tensors = kernels(model)
        values = [values_of(tensor) for tensor in tensors]
        for tensor, array, gone in zip(tensors, values, pruned(values, self.share), strict=True):
            replace_values(tensor, np.where(gone, np.float32(0), array))
        return model


def pruned(kernels: list[NDArray[Any]], share: float) -> list[NDArray[np.bool_]]:
    """Return masks of the weights of smallest magnitude over all kernels.

    Args:
        kernels: the weights.
        share: fraction of them to prune.

    Returns:
        a bool array per kernel, true where a weight is pruned.

    Raises:
        UsageError: ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UsageError(f"share is {share}, expected a number between 0 and 1")
    sizes = np.abs(np.concatenate([kernel.ravel() for kernel in kernels]))
    count = round(share * len(sizes))
    gone = np.zeros(len(sizes), dtype=bool)
    gone[np.argsort(sizes, kind="stable")[:count]] = True
    ends = np.cumsum([kernel.size for kernel in kernels])
    parts = np.split(gone, ends[:-1])
    return [part.reshape(kernel.shape) for part, kernel in zip(parts, kernels, strict=True)]
