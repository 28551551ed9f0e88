"""Keras on JAX."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wmx.exporting import EXPORT_INPUT, EXPORT_OUTPUT, exporting, repaired_jax2onnx
from wmx.task import Task

OPSET = 20


def normals(values: list[Any], seed: int, step: Any) -> list[Any]:
    """Return standard normal draws that hang on (seed, step, place in the list) alone."""
    # one draw for all: XLA takes almost half a second to compile each
    key = jax.random.fold_in(jax.random.key(seed), step)
    draw = jax.random.normal(key, (sum(value.size for value in values),))
    parts = jnp.split(draw, np.cumsum([value.size for value in values])[:-1])
    return [p.reshape(v.shape).astype(v.dtype) for p, v in zip(parts, values, strict=True)]


def gradients(loss: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of ``loss`` at ``values``."""
    return jax.grad(loss)([jnp.asarray(value) for value in values])


def where_due(due: Any, added: Callable[[], list[Any]], nothing: list[Any]) -> list[Any]:
    """Return what is added where it is due, else ``nothing``.

    On a CPU it is computed at every step: inside a condition XLA leaves the convolutions of a
    gradient as they are, and runs them by a loop that takes 15 times as long.
    """
    return list(
        jax.lax.platform_dependent(
            cpu=lambda: [jnp.where(due, a, b) for a, b in zip(added(), nothing, strict=True)],
            default=lambda: jax.lax.cond(due, added, lambda: nothing),
        )
    )


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` itself: it is traced once, with the step as a value."""
    return function


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
        return repaired_jax2onnx(proto).SerializeToString()


def has_gpu() -> bool:
    """Say whether JAX finds a GPU."""
    return any(device.platform == "gpu" for device in jax.devices())


def streams_kept() -> AbstractContextManager[Any]:
    """Return a context that does nothing: JAX has no stream of its own."""
    return nullcontext()
