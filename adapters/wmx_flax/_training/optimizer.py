"""Building the optimizer of a training run."""

from typing import Any

import jax
import optax

from wmx.training.config import MOMENTUM, Training


def make_optimizer(training: Training) -> optax.GradientTransformation:
    """Return an optimizer equal to PyTorch's SGD or AdamW, without the learning rate."""
    decay = optax.add_decayed_weights(training.weight_decay)
    if training.optimizer == "adamw":
        return optax.chain(optax.scale_by_adam(), decay)
    return optax.chain(decay, optax.trace(MOMENTUM, nesterov=True))


def stepped(params: Any, updates: Any, rate: jax.Array) -> Any:
    """Return the parameters after an optimizer step.

    Args:
        params: a pytree.
        updates: from the optimizer, a pytree of equal structure.
        rate: learning rate.
    """
    return jax.tree.map(lambda p, u: p - (rate * u).astype(p.dtype), params, updates)
