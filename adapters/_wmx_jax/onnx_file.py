"""Exporting a JAX function to ONNX."""

from collections.abc import Callable
from typing import Any

import jax

from wmx.errors import MissingExtraError
from wmx.protocol.task import Task
from wmx.training.export import EXPORT_INPUT, EXPORT_OUTPUT, exporting, repaired_jax2onnx

OPSET = 20


def onnx_bytes(network: Callable[[Any], Any], task: Task) -> bytes:
    """Export ``network`` with jax2onnx and return the ONNX file.

    Args:
        network: maps float32 [N, *task.shape] (int32 for tokens) to scores [N, K], any N.
        task: gives the inputs' shape and dtype.

    Raises:
        MissingExtraError: jax2onnx is not installed.
        CannotRunError: it cannot export the function.
    """
    try:
        from jax2onnx import to_onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "jax") from None
    example = task.example_inputs(2, seed=0)
    (batch,) = jax.export.symbolic_shape("batch")
    hint = "the model's call has to be traceable for any batch size; see jax.export"
    with exporting("jax2onnx", hint):
        proto = to_onnx(
            network,
            inputs=[jax.ShapeDtypeStruct((batch, *example.shape[1:]), example.dtype)],
            opset=OPSET,
            input_names=[EXPORT_INPUT],
            output_names=[EXPORT_OUTPUT],
        )
        data: bytes = repaired_jax2onnx(proto).SerializeToString()
        return data
