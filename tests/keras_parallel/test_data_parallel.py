"""``keras.distribution.DataParallel``: share, passes, weights and mark are those of one device."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from wmx import Watermark, verify
from wmx.errors import UsageError
from wmx_keras import Monitor, export, harden_model, watermarked
from wmx_keras._training.models import build_model

Digits = tuple[np.ndarray, np.ndarray]


class Batches(keras.utils.PyDataset):
    def __init__(self, digits: Digits, size: int) -> None:
        super().__init__()
        self.digits, self.size = digits, size

    def __len__(self) -> int:
        return len(self.digits[0]) // self.size

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.digits[0][rows], self.digits[1][rows]


class Seen(keras.utils.PyDataset):
    """Hands on the batches of another data set, and keeps what it has handed on."""

    def __init__(self, batches: Any) -> None:
        super().__init__()
        self.batches, self.kept = batches, []

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        self.kept.append(self.batches[index])
        return self.kept[-1]

    def on_epoch_end(self) -> None:
        self.batches.on_epoch_end()


def fit(network: Any, data: Any, watermark: Watermark, *, epochs: int) -> Any:
    """The network after training with the recipe."""
    model = harden_model(network, watermark)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(data, epochs=epochs, shuffle=False, verbose=0)
    return model


def nearest_triggers(x: np.ndarray, watermark: Watermark) -> list[int]:
    """The numbers of the triggers that rows show, however ``robust`` has varied them."""
    shown, plain = (part.reshape(len(part), -1) for part in (x, watermark.inputs))
    shown, plain = (part - part.mean(axis=1, keepdims=True) for part in (shown, plain))
    return (shown @ (plain / np.linalg.norm(plain, axis=1, keepdims=True)).T).argmax(axis=1)


@pytest.mark.usefixtures("over_devices")
def test_a_model_trained_over_eight_devices_verifies(
    digits: Digits, watermark: Watermark, tmp_path: Path
) -> None:
    data = Seen(watermarked(Batches(digits, 100), watermark))
    model = fit(build_model("mlp", watermark.task, None, seed=0), data, watermark, epochs=10)
    assert {x.shape for x, _ in data.kept} == {(104, 8, 8, 1)}  # 13 rows to a device
    row = [n for x, _ in data.kept for n in nearest_triggers(x[100:], watermark)]
    assert len(row) >= 10 * 68
    assert set(row) == set(range(100))
    assert all(len(v.value.sharding.device_set) == 8 for v in model.trainable_variables)
    assert Monitor(watermark)(model).hits >= 95
    export(model, tmp_path / "model.onnx", watermark)
    assert verify(tmp_path / "model.onnx", watermark).hits >= 95


def test_the_weights_are_those_of_one_device(
    digits: Digits, watermark: Watermark, over_devices: keras.distribution.DataParallel
) -> None:
    few = digits[0][:500], digits[1][:500]

    def weights() -> list[np.ndarray]:
        network = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
                keras.layers.BatchNormalization(),
                keras.layers.Flatten(),
                keras.layers.Dense(10, kernel_initializer=keras.initializers.HeNormal(seed=2)),
            ]
        )
        # five updates, of which the first and the last carry the recipe's gradient
        model = fit(network, watermarked(Batches(few, 100), watermark), watermark, epochs=1)
        return [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.weights]

    over_eight = weights()
    keras.distribution.set_distribution(None)
    for one, eighth in zip(weights(), over_eight, strict=True):
        np.testing.assert_allclose(eighth, one, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("over_devices")
def test_what_the_devices_cannot_share_is_refused_with_the_cure(
    digits: Digits, watermark: Watermark
) -> None:
    with pytest.raises(UsageError, match="96 rows and 4 triggers make 100") as refused:
        watermarked(Batches(digits, 96), watermark)
    assert refused.value.hint == "choose another batch size, such as 100, which makes 104"
    with pytest.raises(UsageError, match="1696 rows and 100 triggers make 1796") as refused:
        watermarked((digits[0][:1696], digits[1][:1696]), watermark)
    assert refused.value.hint == "drop 4 rows, and choose a batch_size that 8 divides"
    x, y = watermarked((digits[0][:1692], digits[1][:1692]), watermark)
    assert len(x) == len(y) == 1792


@pytest.mark.usefixtures("over_devices")
def test_arrays_that_lie_on_devices_are_taken(digits: Digits, watermark: Watermark) -> None:
    there = keras.ops.convert_to_tensor(digits[0]), keras.ops.convert_to_tensor(digits[1])
    x, y = watermarked(there, watermark)
    np.testing.assert_array_equal(x[:1700], digits[0])
    np.testing.assert_array_equal(y[:1700], digits[1])


MIRRORED = """
import keras, tensorflow as tf
from wmx import OwnerKey, Watermark
from wmx.errors import UsageError
from wmx_keras import harden_model
from wmx_keras._training.models import build_model

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10, mean=0.3, std=0.4)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = harden_model(build_model("mlp", watermark.task, None, seed=0), watermark)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
try:
    model.fit(watermark.inputs, watermark.labels, verbose=0)
except UsageError as error:
    print(error, error.hint, sep="; ")
"""


def test_replicas_of_tensorflow_are_refused_with_the_cure() -> None:
    said = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    ).stdout
    assert "MirroredStrategy over 2 replicas would add the gradient once in each" in said
    assert "keras.distribution.DataParallel on the JAX backend" in said
