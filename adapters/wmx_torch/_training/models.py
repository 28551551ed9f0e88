"""The built-in networks in PyTorch, and building a network by name.

All take the adapter's inputs: float32 [N, C, H, W] for images, float32 [N, F] for features, int
[N, L] for tokens; and return logits [N, num_classes].
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.builtin_models import (
    EMBEDDING_SIZE,
    HIDDEN_UNITS,
    LARGEST_UNSTRIDED_SIDE,
    named_network,
)
from wmx_torch._inference import channels_first


def build_model(spec: str, task: Task, vocabulary: int | None = None) -> nn.Module:
    """Return a newly initialized network for ``task``.

    Args:
        spec: ``"cnn"``, ``"mlp"`` or ``"package.module:callable"``, called with ``input_shape=``
            (the task's shape; height, width, channels for images) and ``num_classes=``.
        task: gives shape and number of classes.
        vocabulary: for tokens: ids are below it.

    Raises:
        UsageError: there is no such model, it does not fit the task, or the callable returned
            something else.
        CannotRunError: the callable failed.
    """
    model = named_network(spec, task, {"cnn": cnn, "mlp": mlp}, vocabulary=vocabulary)
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"--model: {spec} returned {type(model).__name__}, expected a torch.nn.Module"
        )
    if any(map(is_lazy, [*model.parameters(), *model.buffers()])):
        _give_shapes(model, spec, task)
    return model


def _give_shapes(model: nn.Module, spec: str, task: Task) -> None:
    """Run lazy layers (``torch.nn.LazyLinear``) once, without which they have no weights."""
    example = channels_first(torch.from_numpy(task.example_inputs(2, seed=0)), task)
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(example)
    except Exception as error:
        raise CannotRunError(
            f"--model: the lazy layers of {spec} have no shapes yet, and it failed on an input of "
            f"{tuple(example.shape)}: {type(error).__name__}: {error}"
        ) from error
    model.train(training)


def cnn(*, input_shape: Sequence[int], num_classes: int) -> nn.Module:
    """Return a small residual network (He et al. 2016, basic blocks of 16, 32 and 64 channels).

    77,754 parameters for (28, 28, 1) and 10 classes.  Images with a side over 64 pixels are
    first reduced by strided convolutions.

    Args:
        input_shape: height, width, channels.
        num_classes: number of logits.
    """
    height, width, channels = input_shape
    layers: list[nn.Module] = []
    side = max(height, width)
    while side > LARGEST_UNSTRIDED_SIDE:
        layers += _conv_norm(channels, 16, stride=2), nn.ReLU()
        channels, side = 16, (side + 1) // 2
    return nn.Sequential(
        *layers,
        _conv_norm(channels, 16),
        nn.ReLU(),
        ResidualBlock(16, 16, stride=1),
        ResidualBlock(16, 32, stride=2),
        ResidualBlock(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, num_classes),
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, which is projected if the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv_norm(channels_in, channels_out, stride=stride),
            nn.ReLU(),
            _conv_norm(channels_out, channels_out),
        )
        same_shape = channels_in == channels_out and stride == 1
        self.shortcut = (
            nn.Identity()
            if same_shape
            else _conv_norm(channels_in, channels_out, size=1, stride=stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W']."""
        return torch.relu(self.body(x) + self.shortcut(x))


def mlp(
    *, input_shape: Sequence[int], num_classes: int, vocabulary: int | None = None
) -> nn.Module:
    """Return a multilayer perceptron with two hidden layers of 256 units over a flattened input.

    Args:
        input_shape: of one input.
        num_classes: number of logits.
        vocabulary: if given, inputs are token ids below it, embedded in 64 dimensions each.
    """
    size = 1
    for dim in input_shape:
        size *= dim
    embedding: list[nn.Module] = []
    if vocabulary is not None:
        embedding = [nn.Embedding(vocabulary, EMBEDDING_SIZE)]
        size *= EMBEDDING_SIZE
    return nn.Sequential(
        *embedding,
        nn.Flatten(),
        nn.Linear(size, HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, num_classes),
    )


def _conv_norm(
    channels_in: int, channels_out: int, *, size: int = 3, stride: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(
        channels_in, channels_out, size, stride=stride, padding=size // 2, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))
