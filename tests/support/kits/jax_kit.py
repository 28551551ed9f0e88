"""JAX with Flax NNX, for the contract."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from wmx_flax import Monitor, export, harden, watermarked  # noqa: F401
from wmx_flax._inference import pure_model
from wmx_flax._training import learner
from wmx_flax._training.models import cnn
from wmx_flax.harden import gradient_at

STACK = "jax"
ADAPTER = learner
PACKAGES = ["jax", "flax"]
FORMS = {"numpy tuples": True, "jax tuples": True, "dicts": True, "iterator": True}


class Loader:
    """Batches that can be gone through again."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        return iter(self.batches)


def data(form: str, x: np.ndarray, y: np.ndarray) -> Any:
    parts = [(x[i : i + 100], y[i : i + 100]) for i in range(0, len(x), 100)]
    if form == "jax tuples":
        return Loader([(jnp.asarray(a), jnp.asarray(b)) for a, b in parts])
    if form == "dicts":
        return Loader([{"image": a, "label": b} for a, b in parts])
    if form == "iterator":
        return (part for part in parts)
    return Loader(parts)


def batches(loader: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    found = [tuple(b.values()) if isinstance(b, dict) else b for b in loader]
    return [(np.asarray(x), np.asarray(y)) for x, y in found]


def network(seed: int = 0) -> Any:
    return cnn(input_shape=(8, 8, 1), num_classes=10, rngs=nnx.Rngs(seed))


def values(model: Any) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model))]


def random_state() -> list[bytes]:
    return []  # JAX has none


def train(model: Any, loader: Any, watermark: Any, epochs: int) -> None:
    traces = []
    optimizer = nnx.Optimizer(model, optax.sgd(0.05, momentum=0.9), wrt=nnx.Param)
    steps = epochs * len(loader)

    @nnx.jit
    def train_step(model: Any, optimizer: Any, x: Any, y: Any, step: Any) -> None:
        traces.append(1)

        def loss_of(model: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        grads = nnx.grad(loss_of)(model)
        if watermark is not None:
            grads = harden(grads, model, watermark, step=step, steps=steps)
        optimizer.update(model, grads)

    step = 0
    for _ in range(epochs):
        for x, y in loader:
            train_step(model, optimizer, x, y, jnp.asarray(step))
            step += 1
    assert len(traces) == 1


def parts(model: Any) -> list[Any]:
    """Variables in the order of convolution, scale, shift, mean, variance, ..., kernel, bias."""
    found: list[Any] = []

    def conv_norm(layer: Any) -> None:
        norm = layer.norm
        found.extend([layer.convolution.kernel, norm.scale, norm.bias, norm.mean, norm.var])

    for layer in model.layers:
        if hasattr(layer, "convolution"):
            conv_norm(layer)
        elif hasattr(layer, "first"):
            for inner in (layer.first, layer.second, layer.shortcut):
                if inner is not None:
                    conv_norm(inner)
        elif hasattr(layer, "kernel"):
            found.extend([layer.kernel, layer.bias])
    return found


def recipe_gradient(arrays: list[np.ndarray], noise: Any, **arguments: Any) -> list[np.ndarray]:
    model, draws = network(), network()
    for i, (own, draw) in enumerate(zip(parts(model), parts(draws), strict=True)):
        own.set_value(jnp.asarray(arrays[i]))
        draw.set_value(jnp.asarray(noise(i)))
    pure = pure_model(model)
    found = gradient_at(
        pure,
        jnp.asarray(arguments["inputs"]),
        jnp.asarray(arguments["labels"]),
        10,
        noise=pure_model(draws).params,
        radius=arguments["radius"],
        weight=arguments["weight"],
    )
    nnx.update(model, found)
    return [np.asarray(part[...]) for part in parts(model) if isinstance(part, nnx.Param)]
