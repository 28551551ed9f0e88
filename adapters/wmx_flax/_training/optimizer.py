"""The optimizer of a run."""

from typing import Any

import jax
import optax

from wmx.training.config import Training
from wmx.training.lr_schedule import MOMENTUM


def make_optimizer(training: Training) -> optax.GradientTransformation:
    """Return what ``training`` asks for, without the learning rate: as PyTorch's SGD and AdamW."""
    decay = optax.add_decayed_weights(training.weight_decay)
    if training.optimizer == "adamw":
        return optax.chain(optax.scale_by_adam(), decay)
    return optax.chain(decay, optax.trace(MOMENTUM, nesterov=True))


def stepped(params: Any, updates: Any, rate: jax.Array) -> Any:
    """Return the parameters after a step of learning rate ``rate``."""
    return jax.tree.map(lambda p, u: p - (rate * u).astype(p.dtype), params, updates)
