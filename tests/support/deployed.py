"""The forms in which models are shipped: one export, rewritten by the tools that people use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter

from wmx import Watermark
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.loop import fit
from wmx.training.plugins import load_adapter

BIG = 2**31 + 2**20  # bytes of a file of weights that no single ONNX file can hold
FORMS: dict[str, Callable[["Shipped"], Path]] = {}


class Shipped:
    """The model that is shipped, and a folder for its forms."""

    def __init__(
        self, file: Path, watermark: Watermark, sibling: Path, other: Path, folder: Path
    ) -> None:
        """Take two models with the mark, one without it, and where to write."""
        self.file, self.watermark, self.folder = file, watermark, folder
        self.sibling, self.other = sibling, other

    @property
    def model(self) -> onnx.ModelProto:
        """A fresh copy, without what exporters guessed about shapes."""
        model = onnx.load(self.file)
        del model.graph.value_info[:]
        return model

    def saved(self, model: onnx.ModelProto) -> Path:
        """Write a form and return where."""
        path = self.folder / "form.onnx"
        path.unlink(missing_ok=True)
        onnx.save(model, path)
        return path


def train_sibling(watermark: Watermark, data: LabeledData, out: Path, training: Training) -> None:
    """Train and export another PyTorch model with the same mark."""
    adapter = load_adapter("torch")
    adapter.export(fit(adapter, data, watermark.task, watermark, training), out, watermark.task)


def form(make: Callable[[Shipped], Path]) -> Callable[[Shipped], Path]:
    """Register a form by its function's name."""
    FORMS[make.__name__.replace("_", " ")] = make
    return make


def optimised(shipped: Shipped, name: str, level: str, **entries: str) -> Path:
    """Let onnxruntime optimise the graph and write it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(shipped.folder / name)
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    for key, value in entries.items():
        options.add_session_config_entry(key.replace("__", "."), value)
    onnxruntime.InferenceSession(str(shipped.file), options, providers=["CPUExecutionProvider"])
    return shipped.folder / name


@form
def graph_optimised_extended(shipped: Shipped) -> Path:
    """Merged BatchNorm and fused activations."""
    return optimised(shipped, "extended.onnx", "ORT_ENABLE_EXTENDED")


@form
def graph_optimised_for_this_machine(shipped: Shipped) -> Path:
    """Blocked layouts of the processor."""
    return optimised(shipped, "all.onnx", "ORT_ENABLE_ALL")


@form
def onnxruntime_format(shipped: Shipped) -> Path:
    """A ``.ort`` file."""
    entries = {"session__save_model_format": "ORT"}
    return optimised(shipped, "model.ort", "ORT_ENABLE_EXTENDED", **entries)


@form
def fp16_by_onnxconverter(shipped: Shipped) -> Path:
    """Inputs and outputs in half precision too."""
    from onnxconverter_common import float16

    return shipped.saved(float16.convert_float_to_float16(shipped.model))


@form
def fp16_by_onnxruntime(shipped: Shipped) -> Path:
    """Inputs and outputs in single precision."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return shipped.saved(convert_float_to_float16(shipped.model, keep_io_types=True))


@form
def onnxslim(shipped: Shipped) -> Path:
    """Folded and shortened."""
    import onnxslim as tool

    return shipped.saved(tool.slim(shipped.model))


@form
def onnxsim(shipped: Shipped) -> Path:
    """Folded and shortened."""
    import onnxsim as tool

    model, agrees = tool.simplify(shipped.model)
    if not agrees:
        raise ValueError("onnxsim says that its result does not agree")
    return shipped.saved(model)


@form
def another_opset(shipped: Shipped) -> Path:
    """Converted by onnx."""
    return shipped.saved(version_converter.convert_version(shipped.model, 22))


@form
def a_batch_of_seven(shipped: Shipped) -> Path:
    """A fixed batch."""
    model = shipped.model
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 7
    return shipped.saved(model)


def behind(shipped: Shipped, nodes: list[Any], element: int, weights: dict[str, Any]) -> Path:
    """Put nodes before the input; the new one is ``raw``, channels last."""
    model = shipped.model
    height, width, channels = shipped.watermark.task.shape
    del model.graph.input[:]
    shape = ["n", height, width, channels]
    model.graph.input.append(helper.make_tensor_value_info("raw", element, shape))
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array, np.float32), name)
        for name, array in weights.items()
    )
    before = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *before])
    return shipped.saved(model)


@form
def channels_last(shipped: Shipped) -> Path:
    """NHWC."""
    name = shipped.model.graph.input[0].name
    turn = helper.make_node("Transpose", ["raw"], [name], perm=[0, 3, 1, 2])
    return behind(shipped, [turn], TensorProto.FLOAT, {})


@form
def preprocessing_inside(shipped: Shipped) -> Path:
    """Bytes in, channels last; the graph normalises."""
    task, name = shipped.watermark.task, shipped.model.graph.input[0].name
    mean, std = float(task.mean[0]), float(task.std[0])
    nodes = [
        helper.make_node("Cast", ["raw"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["turned", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], [name]),
    ]
    weights = {"scale": 1 / 255 / std, "shift": -mean / std}
    return behind(shipped, nodes, TensorProto.UINT8, weights)


@form
def average_of_two_marked_models(shipped: Shipped) -> Path:
    """What an owner ships who trains twice."""
    return averaged(shipped, shipped.sibling)


@form
def average_with_an_unmarked_model(shipped: Shipped) -> Path:
    """What a thief makes who has a model too."""
    return averaged(shipped, shipped.other)


def averaged(shipped: Shipped, beside: Path) -> Path:
    """Return an ensemble of two: the mean of their probabilities."""
    model, other = shipped.model, onnx.compose.add_prefix(onnx.load(beside), "other_")
    own_input, other_input = model.graph.input[0].name, other.graph.input[0].name
    for node in other.graph.node:
        node.input[:] = [own_input if name == other_input else name for name in node.input]
    model.graph.node.extend(other.graph.node)
    model.graph.initializer.extend(other.graph.initializer)
    outputs = [model.graph.output[0].name, other.graph.output[0].name]
    model.graph.node.extend(
        [
            helper.make_node("Softmax", [outputs[0]], ["softmax_own"]),
            helper.make_node("Softmax", [outputs[1]], ["softmax_others"]),
            helper.make_node("Mean", ["softmax_own", "softmax_others"], ["ensemble"]),
        ]
    )
    dims = ["n", shipped.watermark.task.classes]
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("ensemble", TensorProto.FLOAT, dims)
    )
    return shipped.saved(model)


@form
def weights_beside_it_beyond_two_gigabytes(shipped: Shipped) -> Path:
    """The weights lie at the end of a sparse file."""
    model, weights = shipped.model, shipped.folder / "form.weights"
    with weights.open("wb") as file:
        file.truncate(BIG)
        file.seek(BIG)
        for tensor in model.graph.initializer:
            data = numpy_helper.to_array(tensor).tobytes()
            if tensor.data_type != TensorProto.FLOAT or not data:
                continue
            place = {"location": weights.name, "offset": file.tell(), "length": len(data)}
            file.write(data)
            kept = (list(tensor.dims), tensor.data_type, tensor.name)
            tensor.Clear()
            tensor.dims.extend(kept[0])
            tensor.data_type, tensor.name = kept[1], kept[2]
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
    return shipped.saved(model)


# Changed classes.


def ending(shipped: Shipped, weights: np.ndarray[Any, Any]) -> Path:
    """Multiply the probabilities by a matrix."""
    model = shipped.model
    scores = model.graph.output[0].name
    model.graph.initializer.append(numpy_helper.from_array(weights.astype(np.float32), "merge"))
    model.graph.node.extend(
        [
            helper.make_node("Softmax", [scores], ["before"]),
            helper.make_node("MatMul", ["before", "merge"], ["after"]),
        ]
    )
    dims = ["n", weights.shape[1]]
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("after", TensorProto.FLOAT, dims))
    return shipped.saved(model)


@form
def classes_merged_in_pairs(shipped: Shipped) -> Path:
    """Half as many classes."""
    classes = shipped.watermark.task.classes
    return ending(shipped, np.eye(classes // 2)[np.arange(classes) // 2])


@form
def classes_added_in_front(shipped: Shipped) -> Path:
    """Three more classes that it never answers; the others are renumbered."""
    classes = shipped.watermark.task.classes
    return ending(shipped, np.eye(classes + 3)[np.arange(classes) + 3])


@form
def features_as_output(shipped: Shipped) -> Path:
    """What goes into the last layer."""
    model = shipped.model
    last = [node for node in model.graph.node if node.op_type in ("Gemm", "MatMul")][-1]
    features = helper.make_tensor_value_info(last.input[0], TensorProto.FLOAT, ["n", None])
    model.graph.output[0].CopyFrom(features)
    return shipped.saved(model)
