"""The optimizer of a run, and its learning rate at each step."""

import math

import torch
from torch import nn

from wmx.errors import CannotRunError
from wmx.training import Training

WARMUP_STEPS = 35
MOMENTUM = 0.9


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


def learning_rate_factor(step: int, steps: int) -> float:
    """Return a step's part of the highest learning rate: linear warm-up, then a cosine to 0."""
    warmup = min(WARMUP_STEPS, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
