"""Freezing single weights during training."""

import torch
from torch import nn

from wmx.training.adapter import Frozen
from wmx.training.weights import require_names


class FrozenWeights:
    """Remembers the values of frozen weights and BatchNorm statistics, to restore after steps."""

    def __init__(self, model: nn.Module, frozen: Frozen) -> None:
        """Remember the present values.

        Args:
            model: whose weights to freeze.
            frozen: masks by name, true where a weight is frozen.

        Raises:
            UsageError: the model has no weight of such a name.
        """
        state = model.state_dict()
        require_names(frozen, state)
        self._held = [
            (state[name], torch.from_numpy(where).to(state[name].device), state[name].clone())
            for name, where in frozen.items()
        ]

    @torch.no_grad()
    def put_back(self) -> None:
        """Restore every frozen weight."""
        for tensor, where, value in self._held:
            tensor.copy_(torch.where(where, value, tensor))
