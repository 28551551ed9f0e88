"""The built-in networks in Keras, and building a network by name.

All take the adapter's inputs: float32 [N, H, W, C] for images, float32 [N, F] for features, int
[N, L] for tokens; and return logits [N, num_classes].
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.builtin_models import (
    EMBEDDING_SIZE,
    HIDDEN_UNITS,
    LARGEST_UNSTRIDED_SIDE,
    named_network,
)

APPLICATIONS = "keras.applications:"


def build_model(spec: str, task: Task, vocabulary: int | None, seed: int) -> Any:
    """Return a newly initialized network for ``task``.

    Args:
        spec: ``"cnn"``, ``"mlp"``, ``"keras.applications:NAME"`` (from scratch, without its
            softmax) or ``"package.module:callable"``, called with ``input_shape=`` and
            ``num_classes=``.
        task: gives shape and number of classes.
        vocabulary: for tokens: ids are below it.
        seed: of the weights and of dropout.

    Raises:
        UsageError: there is no such model, it does not fit the task, or the callable returned
            something else.
        CannotRunError: the callable failed.
    """
    with _seeded(seed):
        if spec.startswith(APPLICATIONS):
            return _application(spec.removeprefix(APPLICATIONS), task)
        model = named_network(spec, task, {"cnn": cnn, "mlp": mlp}, vocabulary=vocabulary)
        if not isinstance(model, keras.Model):
            raise UsageError(
                f"--model: {spec} returned {type(model).__name__}, expected a keras.Model"
            )
        if not model.built:
            model(keras.ops.convert_to_tensor(task.example_inputs(1, seed=0)))
    return model


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Python's global random state, from which Keras draws layer seeds; restore it after."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _application(name: str, task: Task) -> Any:
    make = getattr(keras.applications, name, None)
    if not callable(make):
        raise UsageError(f"no model {APPLICATIONS}{name}: keras.applications has no {name!r}")
    if task.kind != "image":
        raise UsageError(f"{APPLICATIONS}{name} is for images, and the data are {task.kind}")
    try:
        return make(
            weights=None,
            input_shape=task.shape,
            classes=task.classes,
            classifier_activation=None,
        )
    except Exception as error:
        raise CannotRunError(
            f"--model: {APPLICATIONS}{name} for images {task.shape} failed: {error}"
        ) from error


def cnn(*, input_shape: Sequence[int], num_classes: int) -> Any:
    """Return a small residual network (He et al. 2016, basic blocks of 16, 32 and 64 channels).

    77,754 trained parameters for (28, 28, 1) and 10 classes, as in the other frameworks.  Images
    with a side over 64 pixels are first reduced by strided convolutions.

    Args:
        input_shape: height, width, channels.
        num_classes: number of logits.
    """
    inputs = x = keras.Input(tuple(input_shape))
    side = max(input_shape[:2])
    while side > LARGEST_UNSTRIDED_SIDE:
        x = layers.ReLU()(_conv_norm(x, 16, stride=2))
        side = (side + 1) // 2
    x = layers.ReLU()(_conv_norm(x, 16))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        x = _residual_block(x, channels, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))


def _residual_block(x: Any, channels: int, stride: int) -> Any:
    """Two 3 x 3 convolutions and a shortcut, which is projected if the shape changes."""
    body = layers.ReLU()(_conv_norm(x, channels, stride=stride))
    body = _conv_norm(body, channels)
    if x.shape[-1] != channels or stride != 1:
        x = _conv_norm(x, channels, size=1, stride=stride)
    return layers.ReLU()(layers.Add()([body, x]))


def _conv_norm(x: Any, channels: int, *, size: int = 3, stride: int = 1) -> Any:
    if size > 1:  # "same" would pad one side only where the stride is 2
        x = layers.ZeroPadding2D(size // 2)(x)
    x = layers.Conv2D(channels, size, strides=stride, use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def mlp(*, input_shape: Sequence[int], num_classes: int, vocabulary: int | None = None) -> Any:
    """Return a multilayer perceptron with two hidden layers of 256 units over a flattened input.

    Args:
        input_shape: of one input.
        num_classes: number of logits.
        vocabulary: if given, inputs are token ids below it, embedded in 64 dimensions each.
    """
    inputs = x = keras.Input(tuple(input_shape), dtype="int32" if vocabulary else "float32")
    if vocabulary is not None:
        x = layers.Embedding(vocabulary, EMBEDDING_SIZE)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(HIDDEN_UNITS, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))
