"""Helpers for every ONNX exporter: silence, readable errors, standard names, and repairs."""

import contextlib
import io
import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wmx._internal.writing import refuse_overwrite
from wmx.errors import CannotRunError, UsageError, WmxError
from wmx.protocol.task import Task
from wmx.watermark import Watermark

EXPORT_INPUT, EXPORT_OUTPUT = "input", "scores"
NOTES = ("doc_string", "metadata_props")
OTHER_ENDINGS = (
    *(".pt", ".pth", ".ckpt", ".bin", ".h5", ".hdf5", ".keras", ".safetensors", ".pkl", ".joblib"),
    *(".npz", ".npy", ".json", ".pem", ".html"),
)
MOST_POOLED_AXES = 3  # supported by onnxruntime


@contextlib.contextmanager
def exporting(exporter: str, hint: str) -> Iterator[None]:
    """Silence an exporter's prints, warnings and log lines, and make its errors readable.

    The global random state of Python and NumPy is restored; jax2onnx draws from it.

    Args:
        exporter: its name, for errors.
        hint: what the user can do about a failure.

    Raises:
        CannotRunError: the exporter failed; with the first line of the root cause.
    """
    streams = random.getstate(), np.random.get_state()  # noqa: NPY002
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
        random.setstate(streams[0])
        np.random.set_state(streams[1])  # noqa: NPY002


def checked_export(path: object, task: object, *, force: bool) -> Task:
    """Check the arguments of an adapter's ``export``, and return the task.

    Args:
        path: where the ONNX file is to be written.
        task: the claim's task, or the watermark.
        force: whether an existing file may be replaced.

    Raises:
        UsageError: an argument is of another type, or ``path`` has the ending of another format.
        CannotRunError: as :func:`wmx._internal.writing.refuse_overwrite`.
    """
    order = "the order is export(model, path, watermark)"
    if not isinstance(path, str | Path):
        raise UsageError(f"path is {type(path).__name__}, expected a path", hint=order)
    if isinstance(task, Watermark):
        task = task.task
    if not isinstance(task, Task):
        found = type(task).__name__
        raise UsageError(f"task is {found}, expected a Task or a Watermark", hint=order)
    if Path(path).suffix.lower() in OTHER_ENDINGS:
        raise UsageError(
            f"path is {path}, expected the name of an ONNX file",
            hint=f"name it {Path(path).with_suffix('.onnx')}: ONNX is what is written",
        )
    refuse_overwrite(path, force)
    return task


def repaired_jax2onnx(model: Any) -> Any:
    """Return an ``onnx.ModelProto`` of jax2onnx in a form that onnxruntime can run.

    jax2onnx up to 0.17.1 has two bugs.  It pools with windows over all axes of an array, including
    batch and channels, and onnxruntime pools over at most three ("Unsupported pooling size").  And
    it moves transposes through residual additions without updating the shapes it noted for the
    tensors ("Incompatible dimensions"); here they are inferred again from the operators alone.
    """
    import onnx

    nodes = [new for node in model.graph.node for new in _pooling_over_pixels(node, model.graph)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    for function in model.functions:
        del function.value_info[:]
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _pooling_over_pixels(node: Any, graph: Any) -> list[Any]:
    """Return nodes equivalent to ``node``; only max pooling over all axes is rewritten.

    Its input is [1, 1, *array]; the array's first axis, and its last or second, are not pooled.
    """
    from onnx import helper, numpy_helper

    settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    size = settings.get("kernel_shape", [])
    rank = len(size)
    if node.op_type != "MaxPool" or rank <= MOST_POOLED_AXES:
        return [node]
    pads = settings.get("pads", [0] * 2 * rank)
    still = [
        axis
        for axis in range(rank)
        if size[axis] == settings["strides"][axis] == 1 and not pads[axis] and not pads[axis + rank]
    ]
    channels = next((axis for axis in (rank - 1, 1) if axis in still), None)
    if 0 not in still or channels is None:
        return [node]
    order = [0, channels, *(axis for axis in range(1, rank) if axis != channels)]
    pooled = order[2:]
    attributes: dict[str, Any] = {
        name: [values[axis] for axis in pooled]
        for name, values in settings.items()
        if name in ("kernel_shape", "strides", "dilations")
    }
    attributes["pads"] = [pads[axis + end] for end in (0, rank) for axis in pooled]
    name = node.output[0]
    axes, array, turned, result, back = (f"{name}_{i}" for i in range(5))
    graph.initializer.append(numpy_helper.from_array(np.array([0, 1], np.int64), axes))
    return [
        helper.make_node("Squeeze", [node.input[0], axes], [array]),
        helper.make_node("Transpose", [array], [turned], perm=order),
        helper.make_node("MaxPool", [turned], [result], **attributes),
        helper.make_node("Transpose", [result], [back], perm=np.argsort(order).tolist()),
        helper.make_node("Unsqueeze", [back, axes], [name]),
    ]


def with_standard_names(data: bytes) -> bytes:
    """Rename the input and output of an ONNX file to ``input`` and ``scores``.

    Exporters choose their own names.  Files with several inputs or outputs are left unchanged.
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


def without_notes(data: bytes) -> bytes:
    """Strip an ONNX file of the exporter's notes about how it was made.

    PyTorch's exporter records at every node which lines of code produced it.  That reveals folders
    of the owner's machine, and that the model was exported by wmx and so is marked.
    """
    import onnx

    model = onnx.load_from_string(data)
    _forget_notes(model)
    silent: bytes = model.SerializeToString()
    return silent


def _forget_notes(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in NOTES:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in value if isinstance(value, Sequence) else [value]:
                _forget_notes(part)


def _root_cause(error: BaseException) -> str:
    """Return the first line of the root cause; exporters wrap it in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
