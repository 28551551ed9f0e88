"""Building the optimizer of a training run."""

import torch
from torch import nn

from wmx.errors import CannotRunError
from wmx.training.config import MOMENTUM, Training


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Return an optimizer over all trainable parameters.

    Args:
        model: whose parameters to train.
        training: names the optimizer and its settings.

    Raises:
        CannotRunError: the model has no trainable parameter.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise CannotRunError(f"the model {training.model} has no trainable parameter")
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    return torch.optim.SGD(
        parameters, lr=rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay
    )
