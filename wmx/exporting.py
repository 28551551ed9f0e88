"""What exports from every framework share: silence, clear errors, names, and one repair."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from wmx.errors import CannotRunError, WmxError

EXPORT_INPUT, EXPORT_OUTPUT = "input", "scores"


@contextlib.contextmanager
def exporting(exporter: str, hint: str) -> Iterator[None]:
    """Hold back an exporter's prints, warnings and log lines, and make its errors readable.

    Args:
        exporter: its name, for errors.
        hint: what the user can do about a failure.

    Raises:
        CannotRunError: the exporter raised; with the first line of what went wrong first.
    """
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    except (WmxError, ModuleNotFoundError):
        raise
    except Exception as error:  # exporters raise whatever their passes raise
        raise CannotRunError(
            f"{exporter} cannot export this model to ONNX: {_root_cause(error)}", hint=hint
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def with_shapes_inferred_again(model: Any) -> Any:
    """Return an ``onnx.ModelProto`` without the shapes that jax2onnx may have left stale.

    jax2onnx up to 0.17.1 moves transposes through residual additions and keeps the annotations of
    the tensors as they were; onnxruntime then refuses the file ("Incompatible dimensions").  They
    are inferred again from the operators alone.
    """
    import onnx

    del model.graph.value_info[:]
    for function in model.functions:
        del function.value_info[:]
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def with_standard_names(data: bytes) -> bytes:
    """Return an ONNX file of one input and one output with these called ``input`` and ``scores``.

    Exporters name them as they like.  Files of another form are left as they are.
    """
    import onnx

    model = onnx.load_from_string(data)
    graph = model.graph
    if len(graph.input) != 1 or len(graph.output) != 1:
        return data
    new = {graph.input[0].name: EXPORT_INPUT, graph.output[0].name: EXPORT_OUTPUT}
    taken = {name for node in graph.node for name in node.output} | {
        tensor.name for tensor in graph.initializer
    }
    if all(old == name for old, name in new.items()) or taken & (set(new.values()) - set(new)):
        return data
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = new[value.name]
    renamed: bytes = model.SerializeToString()
    return renamed


def _root_cause(error: BaseException) -> str:
    """Return the first line of what went wrong first; exporters wrap it in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
