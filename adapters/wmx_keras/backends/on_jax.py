"""Keras on JAX."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from wmx.exporting import EXPORT_INPUT, EXPORT_OUTPUT, exporting, with_shapes_inferred_again
from wmx.task import Task

OPSET = 20


def normals(values: list[Any], seed: int, step: Any) -> list[Any]:
    """Return standard normal draws that hang on (seed, step, place in the list) alone."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), step), len(values))
    return [jax.random.normal(key, v.shape, v.dtype) for key, v in zip(keys, values, strict=True)]


def gradients(loss: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of ``loss`` at ``values``."""
    return jax.grad(loss)([jnp.asarray(value) for value in values])


def onnx_bytes(network: Callable[[Any], Any], model: Any, task: Task) -> bytes:
    """Return the ONNX file of ``network``, written by jax2onnx."""
    from jax2onnx import to_onnx

    example = task.example_inputs(2, seed=0)
    (batch,) = jax.export.symbolic_shape("batch")
    with exporting("jax2onnx", "its call has to be traceable for any batch size"):
        proto = to_onnx(
            network,
            inputs=[jax.ShapeDtypeStruct((batch, *example.shape[1:]), example.dtype)],
            opset=OPSET,
            input_names=[EXPORT_INPUT],
            output_names=[EXPORT_OUTPUT],
        )
        return with_shapes_inferred_again(proto).SerializeToString()


def has_gpu() -> bool:
    """Say whether JAX finds a GPU."""
    return any(device.platform == "gpu" for device in jax.devices())
