"""The built-in networks in Flax NNX, and building a network by name.

All take the adapter's inputs: float32 [N, H, W, C] for images, float32 [N, F] for features, int
[N, L] for tokens; and return logits [N, num_classes].
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from wmx.errors import UsageError
from wmx.protocol.task import Task
from wmx.training.builtin_models import (
    EMBEDDING_SIZE,
    HIDDEN_UNITS,
    LARGEST_UNSTRIDED_SIDE,
    named_network,
)


def build_model(spec: str, task: Task, vocabulary: int | None, seed: int) -> nnx.Module:
    """Return a newly initialized network for ``task``.

    Args:
        spec: ``"cnn"``, ``"mlp"`` or ``"package.module:callable"``, called with ``input_shape=``,
            ``num_classes=`` and ``rngs=`` (an ``nnx.Rngs``).
        task: gives shape and number of classes.
        vocabulary: for tokens: ids are below it.
        seed: of the weights.

    Raises:
        UsageError: there is no such model, it does not fit the task, or the callable returned
            something else.
        CannotRunError: the callable failed.
    """
    rngs = nnx.Rngs(seed)
    model = named_network(
        spec, task, {"cnn": cnn, "mlp": mlp}, vocabulary=vocabulary, more={"rngs": rngs}
    )
    if not isinstance(model, nnx.Module):
        raise UsageError(
            f"--model: {spec} returned {type(model).__name__}, expected a flax.nnx.Module",
            hint="flax.nnx.bridge.ToNNX makes one of a Linen module",
        )
    return model


def cnn(*, input_shape: Sequence[int], num_classes: int, rngs: nnx.Rngs) -> nnx.Module:
    """Return a small residual network (He et al. 2016, basic blocks of 16, 32 and 64 channels).

    77,754 parameters for (28, 28, 1) and 10 classes, as in the other frameworks.  Images with a
    side over 64 pixels are first reduced by strided convolutions.

    Args:
        input_shape: height, width, channels.
        num_classes: number of logits.
        rngs: of the weights.
    """
    height, width, channels = input_shape
    layers: list[Any] = []
    side = max(height, width)
    while side > LARGEST_UNSTRIDED_SIDE:
        layers += ConvNorm(channels, 16, stride=2, rngs=rngs), jax.nn.relu
        channels, side = 16, (side + 1) // 2
    return nnx.Sequential(
        *layers,
        ConvNorm(channels, 16, rngs=rngs),
        jax.nn.relu,
        ResidualBlock(16, 16, stride=1, rngs=rngs),
        ResidualBlock(16, 32, stride=2, rngs=rngs),
        ResidualBlock(32, 64, stride=2, rngs=rngs),
        _mean_over_pixels,
        nnx.Linear(64, num_classes, rngs=rngs),
    )


class ConvNorm(nnx.Module):
    """A convolution without bias, then BatchNorm."""

    def __init__(
        self, channels_in: int, channels_out: int, *, size: int = 3, stride: int = 1, rngs: nnx.Rngs
    ) -> None:
        self.convolution = nnx.Conv(
            channels_in,
            channels_out,
            (size, size),
            strides=stride,
            padding=size // 2,
            use_bias=False,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(channels_out, momentum=0.9, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, H, W, C] -> [N, H', W', C']."""
        return self.norm(self.convolution(x))


class ResidualBlock(nnx.Module):
    """Two 3 x 3 convolutions and a shortcut, which is projected if the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, rngs: nnx.Rngs) -> None:
        self.first = ConvNorm(channels_in, channels_out, stride=stride, rngs=rngs)
        self.second = ConvNorm(channels_out, channels_out, rngs=rngs)
        same_shape = channels_in == channels_out and stride == 1
        self.shortcut = (
            None
            if same_shape
            else ConvNorm(channels_in, channels_out, size=1, stride=stride, rngs=rngs)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, H, W, C] -> [N, H', W', C']."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return jax.nn.relu(self.second(jax.nn.relu(self.first(x))) + shortcut)


def mlp(
    *,
    input_shape: Sequence[int],
    num_classes: int,
    vocabulary: int | None = None,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Return a multilayer perceptron with two hidden layers of 256 units over a flattened input.

    Args:
        input_shape: of one input.
        num_classes: number of logits.
        vocabulary: if given, inputs are token ids below it, embedded in 64 dimensions each.
        rngs: of the weights.
    """
    size = 1
    for dim in input_shape:
        size *= dim
    embedding: list[Any] = []
    if vocabulary is not None:
        embedding = [nnx.Embed(vocabulary, EMBEDDING_SIZE, rngs=rngs)]
        size *= EMBEDDING_SIZE
    return nnx.Sequential(
        *embedding,
        _flat,
        nnx.Linear(size, HIDDEN_UNITS, rngs=rngs),
        jax.nn.relu,
        nnx.Linear(HIDDEN_UNITS, HIDDEN_UNITS, rngs=rngs),
        jax.nn.relu,
        nnx.Linear(HIDDEN_UNITS, num_classes, rngs=rngs),
    )


def _mean_over_pixels(x: jax.Array) -> jax.Array:
    return jnp.mean(x, axis=(1, 2))


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)
