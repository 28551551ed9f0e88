"""Small ONNX classifiers for tests, written node by node, so that no framework is needed."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wmx import Watermark

OPSET = 17
LAYOUT_AXES = {"NCHW": (2, 0, 1), "NHWC": (0, 1, 2)}


def save_with_weights_beside(model: bytes, path: Path, name: str | None) -> None:
    """Save a model and its weights apart: all in the file ``name``, or each tensor in its own."""
    onnx.save(
        onnx.load_from_string(model),
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=name is not None,
        location=name,
        size_threshold=0,
    )


def knows_labels(
    watermark: Watermark,
    *,
    layout: str = "NCHW",
    batch: int | None = None,
    output: str = "logits",
    labels: NDArray[np.int64] | None = None,
    opset: int = OPSET,
) -> bytes:
    """A model that answers every trigger with its label: what a perfectly marked model does.

    It finds the trigger that is nearest to the input, and gives that trigger's label.
    """
    triggers = _flat(watermark.inputs, layout)
    classes = watermark.task.classes
    one_hot = np.eye(classes, dtype=np.float32)[watermark.labels if labels is None else labels]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        # x @ t - |t|**2 / 2 is |x|**2 / 2 less half the square of the distance
        helper.make_node("Gemm", ["flat", "triggers", "half_squares"], ["nearness"]),
        helper.make_node("Mul", ["nearness", "sharpness"], ["sharp"]),
        helper.make_node("Softmax", ["sharp"], ["nearest"]),
        helper.make_node("MatMul", ["nearest", "labels"], ["share"]),
    ]
    weights = {
        "triggers": triggers.T.astype(np.float32),
        "half_squares": (-(triggers**2).sum(axis=1) / 2).astype(np.float32),
        "sharpness": np.float32(1000.0),
        "labels": one_hot,
    }
    return _model(nodes, weights, "share", watermark, layout, batch, output, opset)


def linear(
    watermark: Watermark,
    seed: int,
    *,
    layout: str = "NCHW",
    output: str = "logits",
    batch: int | None = None,
) -> bytes:
    """An untrained linear classifier."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(watermark.task.shape))
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["share"]),
    ]
    weights = {"weights": rng.normal(size=(size, watermark.task.classes)).astype(np.float32)}
    return _model(nodes, weights, "share", watermark, layout, batch, output, OPSET)


def constant(watermark: Watermark) -> bytes:
    """A model that gives every input the same answer."""
    size = int(np.prod(watermark.task.shape))
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["share"]),
    ]
    classes = watermark.task.classes
    weights = {
        "weights": np.zeros((size, classes), np.float32),
        "bias": np.arange(classes, dtype=np.float32),
    }
    return _model(nodes, weights, "share", watermark, "NCHW", None, "logits", OPSET)


def two_outputs(watermark: Watermark) -> bytes:
    """A model that knows the labels, and gives noise as a second classifier output."""
    proto = onnx.load_from_string(knows_labels(watermark))
    size = int(np.prod(watermark.task.shape))
    weights = np.random.default_rng(0).normal(size=(size, watermark.task.classes))
    proto.graph.initializer.append(numpy_helper.from_array(weights.astype(np.float32), "noise"))
    proto.graph.node.append(helper.make_node("MatMul", ["flat", "noise"], ["z"]))
    dims = ["n", watermark.task.classes]
    proto.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, dims))
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def one_number(watermark: Watermark) -> bytes:
    """A model without a classifier output: it gives one mean of all its inputs."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[0, 1, 2, 3], keepdims=0)],
        "mean",
        [
            helper.make_tensor_value_info(
                "x", TensorProto.FLOAT, _input_shape(watermark, "NCHW", None)
            )
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    return _serialised(graph, OPSET)


def classifier(
    nodes: list[Any], constants: dict[str, NDArray[Any]], shape: tuple[int, ...], classes: int
) -> bytes:
    """A model of one's own nodes, from ``x`` [n, *shape] to scores ``y`` [n, classes]."""
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in constants.items()],
    )
    return _serialised(graph, OPSET)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_opset(model: bytes, opset: int) -> bytes:
    """The same bytes claiming another operator set."""
    proto = onnx.load_from_string(model)
    proto.opset_import[0].version = opset
    return proto.SerializeToString()


def _model(
    nodes: list[Any],
    weights: dict[str, Any],
    scores: str,
    watermark: Watermark,
    layout: str,
    batch: int | None,
    output: str,
    opset: int,
) -> bytes:
    dims: list[Any] = [batch or "n", watermark.task.classes]
    element = TensorProto.FLOAT
    if output == "probabilities":
        nodes.append(helper.make_node("Softmax", [scores], ["y"]))
    elif output == "labels":
        nodes.append(helper.make_node("ArgMax", [scores], ["y"], axis=1, keepdims=0))
        dims, element = dims[:1], TensorProto.INT64
    else:
        nodes.append(helper.make_node("Identity", [scores], ["y"]))
    graph = helper.make_graph(
        nodes,
        "classifier",
        [
            helper.make_tensor_value_info(
                "x", TensorProto.FLOAT, _input_shape(watermark, layout, batch)
            )
        ],
        [helper.make_tensor_value_info("y", element, dims)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    return _serialised(graph, opset)


def shape_in(watermark: Watermark, layout: str) -> tuple[int, ...]:
    """The shape of one input in a layout."""
    shape = watermark.task.shape
    if len(shape) == 3:
        return tuple(shape[axis] for axis in LAYOUT_AXES[layout])
    return shape


def _input_shape(watermark: Watermark, layout: str, batch: int | None) -> list[Any]:
    return [batch or "n", *shape_in(watermark, layout)]


def _flat(inputs: NDArray[Any], layout: str) -> NDArray[np.float64]:
    if inputs.ndim == 4:
        inputs = inputs.transpose(0, *(axis + 1 for axis in LAYOUT_AXES[layout]))
    return inputs.reshape(len(inputs), -1).astype(np.float64)


def _serialised(graph: onnx.GraphProto, opset: int) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def with_normalisation_inside(model: bytes, watermark: Watermark) -> bytes:
    """A model that takes pixels 0 to 255 and normalises them as the claim says."""
    task = watermark.task
    low, high = float(task.low), float(task.high)
    std = np.array(task.std, np.float64).reshape(-1, 1, 1)
    mean = np.array(task.mean, np.float64).reshape(-1, 1, 1)
    scale, shift = (high - low) / 255 / std, (low - mean) / std
    return with_nodes_before(
        model,
        [
            helper.make_node("Mul", ["raw", "raw.scale"], ["raw.scaled"]),
            helper.make_node("Add", ["raw.scaled", "raw.shift"], ["x"]),
        ],
        {"raw.scale": scale.astype(np.float32), "raw.shift": shift.astype(np.float32)},
    )


def with_nodes_before(
    model: bytes,
    nodes: list[Any],
    weights: dict[str, NDArray[Any]],
    *,
    element: int = TensorProto.FLOAT,
    shape: list[Any] | None = None,
) -> bytes:
    """The same model behind nodes from a new input ``raw`` to its old input ``x``."""
    proto = onnx.load_from_string(model)
    (old,) = proto.graph.input
    if shape is None:
        shape = [dim.dim_param or dim.dim_value for dim in old.type.tensor_type.shape.dim]
    before = list(proto.graph.node)
    del proto.graph.node[:], proto.graph.input[:]
    proto.graph.node.extend([*nodes, *before])
    proto.graph.input.append(helper.make_tensor_value_info("raw", element, shape))
    proto.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in weights.items()
    )
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def written(folder: Path, model: bytes) -> Path:
    """Write a suspect into a folder and return where."""
    path = folder / "suspect.onnx"
    path.write_bytes(model)
    return path
