"""Data parallel over eight devices: the batch is sharded, the share and the mark are as ever."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from wmx import Watermark, verify
from wmx.errors import UsageError
from wmx_flax import export, harden, watermarked
from wmx_flax._training.models import cnn


@pytest.fixture(scope="module")
def over_devices() -> NamedSharding:
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    return NamedSharding(mesh, PartitionSpec("data"))


@pytest.mark.slow
def test_a_model_trained_over_eight_devices_verifies(
    digits: Any, watermark: Watermark, over_devices: NamedSharding, tmp_path: Path
) -> None:
    x, y = digits
    batches = [(x[i : i + 100], y[i : i + 100]) for i in range(0, 1700, 100)]
    loader = watermarked(batches, watermark)
    everywhere = NamedSharding(over_devices.mesh, PartitionSpec())
    model = cnn(input_shape=(8, 8, 1), num_classes=10, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.05, momentum=0.9), wrt=nnx.Param)
    for part in (model, optimizer):
        nnx.update(part, jax.device_put(nnx.state(part), everywhere))
    epochs = 10
    steps = epochs * len(loader)

    @nnx.jit
    def train_step(model: Any, optimizer: Any, x: Any, y: Any, step: Any) -> None:
        def loss_of(model: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        grads = nnx.grad(loss_of)(model)
        optimizer.update(model, harden(grads, model, watermark, step=step, steps=steps))

    step = 0
    for _ in range(epochs):
        for batch in loader:
            inputs, labels = jax.device_put(batch, over_devices)
            assert inputs.shape == (104, 8, 8, 1)
            assert len(inputs.addressable_shards) == 8
            train_step(model, optimizer, inputs, labels, jnp.asarray(step))
            step += 1
    export(model, tmp_path / "m.onnx", watermark)
    verdict = verify(tmp_path / "m.onnx", watermark)
    assert verdict.hits >= 95


def test_batches_that_are_sharded_already_stay_so(
    digits: Any, watermark: Watermark, over_devices: NamedSharding
) -> None:
    x, y = digits
    batch = jax.device_put((x[:96], y[:96]), over_devices)
    larger = jax.device_put((x[:200], y[:200]), over_devices)
    inputs, labels = next(iter(watermarked([larger], watermark)))
    assert inputs.shape == (208, 8, 8, 1)
    assert inputs.sharding == labels.sharding == over_devices
    with pytest.raises(UsageError, match="cannot be sharded over the devices"):
        next(iter(watermarked([batch], watermark, recipe="adi")))
    assert np.asarray(batch[0]).shape == (96, 8, 8, 1)
