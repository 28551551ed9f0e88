"""Weights that training leaves as they are."""

import torch
from torch import nn

from wmx.training.loop import Frozen
from wmx.training.weights import require_names


class FrozenWeights:
    """Where weights keep the value they have when this is made; BatchNorm statistics included."""

    def __init__(self, model: nn.Module, frozen: Frozen) -> None:
        """Remember them.

        Raises:
            UsageError: the model has no weight of a name.
        """
        state = model.state_dict()
        require_names(frozen, state)
        self._held = [
            (state[name], torch.from_numpy(where).to(state[name].device), state[name].clone())
            for name, where in frozen.items()
        ]

    @torch.no_grad()
    def put_back(self) -> None:
        """Give every frozen weight its value again."""
        for tensor, where, value in self._held:
            tensor.copy_(torch.where(where, value, tensor))
