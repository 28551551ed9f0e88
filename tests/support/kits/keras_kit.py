"""Keras 3 on the backend that the environment names, for the contract."""

import re
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.random.seed_generator import global_seed_generator

from wmx.protocol.task import Task
from wmx_keras import Monitor, export, harden_model, watermarked  # noqa: F401
from wmx_keras._hardening import gradient_at
from wmx_keras._training import learner
from wmx_keras._training.models import build_model

STACK = f"keras-{keras.backend.backend()}"
ADAPTER = learner
PACKAGES = ["keras", keras.backend.backend()]
FORMS = {"arrays": False, "PyDataset": True, "tf.data": True}
if keras.backend.backend() == "torch":
    import torch

    torch.set_num_threads(1)
    # before the others: of those Keras makes loaders that draw from PyTorch's own stream
    FORMS = {"DataLoader": True, **FORMS}


class Batches(keras.utils.PyDataset):
    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return (len(self.x) + 99) // 100

    def __getitem__(self, index: int) -> Any:
        part = slice(index * 100, index * 100 + 100)
        return self.x[part], self.y[part]


def data(form: str, x: np.ndarray, y: np.ndarray) -> Any:
    if form == "arrays":
        return x, y
    if form == "tf.data":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((x, y)).batch(100)
    if form == "DataLoader":
        from torch.utils.data import DataLoader, TensorDataset

        dataset = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        own_stream = torch.Generator().manual_seed(0)
        return DataLoader(dataset, batch_size=100, generator=own_stream)
    return Batches(x, y)


def batches(given: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(given, tuple):
        return [given]
    if isinstance(given, keras.utils.PyDataset):
        found = [given[i] for i in range(len(given))]
        given.on_epoch_end()
    else:
        found = list(given)
    return [(np.asarray(x), np.asarray(y)) for x, y in found]


def network(seed: int = 0) -> Any:
    return build_model("cnn", Task.of((8, 8, 1), 10), None, seed)


def values(model: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(v.value)) for v in model.weights]


def random_state() -> list[bytes]:
    """Of Keras' own stream and the backend's."""
    own = np.array(ops.convert_to_numpy(global_seed_generator().state)).tobytes()
    if keras.backend.backend() == "torch":
        return [own, torch.get_rng_state().numpy().tobytes()]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [own, tf.random.get_global_generator().state.numpy().tobytes()]
    return [own]


def train(model: Any, given: Any, watermark: Any, epochs: int) -> None:
    trained = model if watermark is None else harden_model(model, watermark)
    trained.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    trained.fit(given, epochs=epochs, verbose=0, shuffle=False)


def parts(model: Any) -> list[Any]:
    """Variables in the order of convolution, scale, shift, mean, variance, ..., kernel, bias."""

    def made(kind: Any) -> list[Any]:
        own = [layer for layer in model.layers if isinstance(layer, kind)]
        return sorted(own, key=lambda layer: int((re.findall(r"\d+$", layer.name) or [0])[0]))

    found: list[Any] = []
    kinds = made(keras.layers.Conv2D), made(keras.layers.BatchNormalization)
    for convolution, norm in zip(*kinds, strict=True):
        found += [convolution.kernel, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance]
    (dense,) = made(keras.layers.Dense)
    return [*found, dense.kernel, dense.bias]


def recipe_gradient(arrays: list[np.ndarray], noise: Any, **arguments: Any) -> list[np.ndarray]:
    model = network()
    own = parts(model)
    for variable, array in zip(own, arrays, strict=True):
        variable.assign(array)
    trained = {id(v) for v in model.trainable_variables}
    places = [i for i, variable in enumerate(own) if id(variable) in trained]
    variables = [own[i] for i in places]
    found = gradient_at(
        model,
        variables,
        [ops.convert_to_tensor(v.value) for v in variables],
        None,
        ops.convert_to_tensor(arguments["inputs"]),
        ops.convert_to_tensor(arguments["labels"]),
        noise=[ops.convert_to_tensor(noise(i)) for i in places],
        radius=arguments["radius"],
        weight=arguments["weight"],
    )
    return [np.array(ops.convert_to_numpy(g)) for g in found]
