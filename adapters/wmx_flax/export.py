"""``export``: ONNX, with the proof that onnxruntime and JAX agree."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import onnx
from numpy.typing import NDArray

from wmx.errors import CannotRunError, MissingExtraError
from wmx.export_check import check_export
from wmx.files import refuse_overwrite, write_bytes
from wmx.task import Task
from wmx.watermark import Watermark
from wmx_flax.inference import Call, Model, pure_model, scores, scores_of

OPSET = 20
INPUT, OUTPUT = "input", "scores"


def export(
    model: Model,
    path: str | Path,
    task: Task | Watermark,
    *,
    force: bool = False,
    call: Call | None = None,
) -> None:
    """Write ``model`` as ONNX: float32, free batch, input ``input``, output ``scores``.

    The model is exported in inference mode and not touched.  The file is checked, loaded again and
    run at two batch sizes before it gets its name.

    Args:
        model: an NNX module, or (Linen module, its variables); takes [N, H, W, C] (images), [N, F]
            or [N, L] and returns logits.
        path: where to write.
        task: the claim's task, or the watermark.
        force: replace a file that exists.
        call: how to ask the model, see :func:`wmx_flax.inference.pure_model`.

    Raises:
        MissingExtraError: jax2onnx is not installed.
        CannotRunError: the file exists, jax2onnx cannot export the model, or the exported model
            does not agree with it.
    """
    refuse_overwrite(path, force)
    task = task.task if isinstance(task, Watermark) else task
    pure = pure_model(model, call)

    def network(inputs: Any) -> Any:
        return scores_of(pure.apply(pure.params, inputs), task.classes).astype("float32")

    def reference(inputs: NDArray[Any]) -> NDArray[Any]:
        return scores(model, inputs, task, call)

    example = task.example_inputs(2, seed=0)
    reference(example)  # its own errors are the clearest
    data = _exported(network, jax.ShapeDtypeStruct(example.shape[1:], example.dtype))
    check_export(data, reference, task)
    write_bytes(path, data, force=force)


def _exported(network: Any, one: jax.ShapeDtypeStruct) -> bytes:
    """Return the file's bytes; whatever the exporter prints on the way is held back."""
    try:
        from jax2onnx import to_onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "jax") from None
    (batch,) = jax.export.symbolic_shape("batch")
    with _silence():
        try:
            model = to_onnx(
                network,
                inputs=[jax.ShapeDtypeStruct((batch, *one.shape), one.dtype)],
                model_name="wmx",
                opset=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
            )
        except Exception as error:  # the exporter raises whatever its passes raise
            first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise CannotRunError(
                f"jax2onnx cannot export this model to ONNX: {first_line[:300]}",
                hint="its call has to be traceable for any batch size; see jax.export",
            ) from error
        return repaired(model).SerializeToString()


def repaired(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a jax2onnx model without the shapes that its transpose elimination left stale.

    jax2onnx up to 0.17.1 moves transposes through residual additions and keeps the annotations of
    the tensors as they were; onnxruntime then refuses the file ("Incompatible dimensions").  They
    are inferred again from the operators alone.
    """
    del model.graph.value_info[:]
    for function in model.functions:
        del function.value_info[:]
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hold back prints, warnings and log lines of the exporter, whatever they are."""
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
