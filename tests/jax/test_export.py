"""``export``: parity for every kind of layer, the repair of jax2onnx' residual fault among them."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx_flax import export
from wmx_flax._training.models import cnn, mlp

IMAGES = Task.of((16, 16, 3), 5)
TOKENS = Task.of((12,), 5, kind="tokens")
FEATURES = Task.of((12,), 5, kind="features")


class Pooled(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), window_shape=(2, 2), strides=(2, 2))
        x = nnx.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        return self.head(self.dropout(jnp.mean(x, axis=(1, 2))))


class PooledByLax(nnx.Module):
    """Max pooling in JAX itself, as Keras has it too, over unequal windows."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.head = nnx.Linear(8 * 5 * 3, 5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        window, strides = (1, 2, 3, 1), (1, 2, 3, 1)
        padding = ((0, 0), (0, 0), (0, 0), (0, 0))
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, padding)
        return self.head(x.reshape(x.shape[0], -1))


class Attention(nnx.Module):
    """A small transformer encoder over token ids."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(30, 16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 16, decode=False, rngs=rngs)
        self.norm = nnx.LayerNorm(16, rngs=rngs)
        self.head = nnx.Linear(16, 5, rngs=rngs)

    def __call__(self, tokens: Any) -> Any:
        x = self.embed(tokens)
        x = self.norm(x + self.attention(x))
        return self.head(jnp.mean(x, axis=1))


class LinenResidual(linen.Module):
    @linen.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        for features in (8, 16):
            y = linen.Conv(features, (3, 3), strides=2)(x)
            y = linen.BatchNorm(use_running_average=not train)(y)
            x = linen.relu(y + linen.Conv(features, (1, 1), strides=2)(x))
        return linen.Dense(5)(jnp.mean(x, axis=(1, 2)))


def linen_residual() -> Any:
    module = LinenResidual()
    return module, module.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=False)


@pytest.mark.parametrize(
    ("make", "task"),
    [
        (lambda: cnn(input_shape=(16, 16, 3), num_classes=5, rngs=nnx.Rngs(0)), IMAGES),
        (lambda: Pooled(nnx.Rngs(0)), IMAGES),
        (lambda: PooledByLax(nnx.Rngs(0)), IMAGES),
        (linen_residual, IMAGES),
        (lambda: mlp(input_shape=(12,), num_classes=5, rngs=nnx.Rngs(0)), FEATURES),
        (
            lambda: mlp(input_shape=(12,), num_classes=5, vocabulary=30, rngs=nnx.Rngs(0)),
            TOKENS,
        ),
        (lambda: Attention(nnx.Rngs(0)), TOKENS),
    ],
    ids=[
        "strided residual",
        "pooling",
        "pooling in JAX itself",
        "linen residual",
        "dense",
        "embedding",
        "attention",
    ],
)
def test_what_was_exported_agrees(make: Any, task: Task, tmp_path: Path) -> None:
    import onnxruntime

    model = make()
    export(model, tmp_path / "m.onnx", task)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    inputs = task.example_inputs(7, seed=3)
    (found,) = session.run(["scores"], {"input": inputs})
    if isinstance(model, tuple):
        expected = model[0].apply(model[1], inputs, train=False)
    else:
        model.eval()
        expected = model(inputs)
    np.testing.assert_allclose(found, np.asarray(expected), atol=1e-4)


def test_what_cannot_be_exported_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    class Fixed(nnx.Module):
        def __call__(self, x: Any) -> Any:
            return jnp.zeros((2, 5)) + x[:2, :5]

    with pytest.raises(CannotRunError):
        export(Fixed(), tmp_path / "m.onnx", FEATURES)
    assert list(tmp_path.iterdir()) == []
