"""The optimizer of a run."""

import torch
from torch import nn

from wmx.errors import CannotRunError
from wmx.training.config import Training
from wmx.training.lr_schedule import MOMENTUM


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Return the optimizer that ``training`` asks for, over all parameters that can be trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise CannotRunError(f"the model {training.model} has nothing to train")
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    return torch.optim.SGD(
        parameters, lr=rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay
    )
