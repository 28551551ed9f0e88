"""``export``: parity for every kind of layer, written by each backend's own exporter."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from networks import Subclassed

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx_keras import export
from wmx_keras._training.models import mlp

IMAGES = Task.of((16, 16, 3), 5)
SMALL_IMAGES = Task.of((8, 8, 1), 10)
TOKENS = Task.of((12,), 5, kind="tokens")
FEATURES = Task.of((12,), 5, kind="features")


def residual() -> Any:
    """A strided block with a projected shortcut, as in the built-in network; that one is exported
    by the contract."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x))
    x = layers.ReLU()(x + layers.Conv2D(8, 1, strides=2)(inputs))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


def pooled() -> Any:
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.AveragePooling2D(2)(layers.MaxPooling2D(2)(x))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(5)(x))


def attention() -> Any:
    """A small transformer encoder over token ids, with its own probabilities."""
    tokens = keras.Input((12,), dtype="int32")
    x = layers.Embedding(30, 16)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    return keras.Model(tokens, layers.Dense(5, activation="softmax")(ops.mean(x, axis=1)))


@pytest.mark.parametrize(
    ("make", "task"),
    [
        (residual, IMAGES),
        (pooled, IMAGES),
        (lambda: mlp(input_shape=(12,), num_classes=5), FEATURES),
        (lambda: mlp(input_shape=(12,), num_classes=5, vocabulary=30), TOKENS),
        (attention, TOKENS),
        (Subclassed, SMALL_IMAGES),
    ],
    ids=["strided residual", "pooling", "dense", "embedding", "attention", "subclassed"],
)
def test_what_was_exported_agrees(make: Any, task: Task, tmp_path: Path) -> None:
    import onnxruntime

    model = make()
    inputs = task.example_inputs(7, seed=3)
    model(inputs)
    for variable in model.non_trainable_variables:  # running statistics as after some training
        if "moving" in variable.name:
            variable.assign(ops.abs(variable.value) + 0.5)
    export(model, tmp_path / "m.onnx", task)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert not isinstance(session.get_inputs()[0].shape[0], int)
    (found,) = session.run(["scores"], {"input": inputs})
    expected = ops.convert_to_numpy(model(inputs, training=False))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_cannot_be_exported_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    inputs, other = keras.Input((12,)), Task.of((12,), 4, kind="features")
    values = ops.svd(ops.reshape(inputs, (-1, 3, 4)), compute_uv=False)  # no such operator in ONNX
    with pytest.raises(CannotRunError):
        export(keras.Model(inputs, layers.Dense(5)(values)), tmp_path / "m.onnx", FEATURES)
    with pytest.raises(CannotRunError, match=r"expected a keras.Model"):
        export(object(), tmp_path / "m.onnx", FEATURES)
    with pytest.raises(CannotRunError, match=r"expected \[batch, 4\]"):
        export(mlp(input_shape=(12,), num_classes=5), tmp_path / "m.onnx", other)
    assert list(tmp_path.iterdir()) == []
