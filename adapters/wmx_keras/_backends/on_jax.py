"""Code for Keras on JAX."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from _wmx_jax import onnx_file
from _wmx_jax.conditions import where_due
from _wmx_jax.noise import normals
from wmx.protocol.task import Task

__all__ = ["gradients", "has_gpu", "normals", "onnx_bytes", "streams_kept", "untraced", "where_due"]


def gradients(loss: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of a loss.

    Args:
        loss: of a list of tensors.
        values: where to take the gradient.
    """
    return jax.grad(loss)([jnp.asarray(value) for value in values])


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` itself: it is traced once, with the step as a tensor."""
    return function


def onnx_bytes(network: Callable[[Any], Any], model: Any, task: Task) -> bytes:
    """Export a function with jax2onnx and return the ONNX file.

    Args:
        network: maps inputs to scores.
        model: that ``network`` calls.
        task: gives the inputs' shape and dtype.
    """
    return onnx_file.onnx_bytes(network, task)


def has_gpu() -> bool:
    """Return whether JAX finds a GPU."""
    return any(device.platform == "gpu" for device in jax.devices())


def streams_kept() -> AbstractContextManager[Any]:
    """Return a context manager that does nothing: JAX has no global random state."""
    return nullcontext()
