"""The sandboxed process that fine-tunes an untrusted ONNX file in PyTorch.

It extends the process of :mod:`wmx.suspect.worker` by two messages: ``begin`` (data and settings)
and ``epoch`` (train one epoch); after ``begin``, ``run`` queries the fine-tuned network.  The
sandbox is locked before the file is parsed, so all parts of PyTorch that load lazily are loaded
before that, by training a network of two layers.
"""

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.suspect.feeding import Feeding
from wmx.suspect.layouts import Layout
from wmx.suspect.outputs import found_in
from wmx.suspect.sandbox.wire import Message
from wmx.suspect.values import Value
from wmx.suspect.worker import Child, answer_parent
from wmx.training.batches import ShuffledBatches
from wmx.training.config import Training
from wmx.training.loop import train_epoch
from wmx_torch._fine_tuning.from_onnx import Fed, converted, outputs_of
from wmx_torch._training.learner import TorchLearner

CPU = torch.device("cpu")
CHECKED_ROWS = 16  # samples on which onnxruntime and PyTorch have to agree
TOLERANCE = 1e-3  # relative to the largest score


def main() -> None:
    """Answer messages on stdin until it is closed."""
    answer_parent(TuningChild())


class TuningChild(Child):
    """Holds the loaded ONNX model, and after ``begin`` the PyTorch network converted from it."""

    def __init__(self) -> None:
        super().__init__()
        self._data = b""
        self._network: nn.Module | None = None
        self._learner: TorchLearner | None = None
        self._batches: ShuffledBatches | None = None
        self._training = Training()

    def confine(self, wanted: dict[str, Any]) -> Message:
        """Load everything that cannot be loaded later, then lock the sandbox."""
        warm_up()
        return super().confine(wanted)

    def load(self, request: Message) -> Message:
        """Load the model into onnxruntime, which validates the file."""
        (data,) = request.arrays
        assert data is not None
        self._data = data.tobytes()
        return super().load(request)

    def do(self, request: Message) -> Message:
        """Start fine-tuning, or train one epoch."""
        match request.kind:
            case "begin":
                return self._begin(request)
            case "epoch":
                assert self._learner is not None
                assert self._batches is not None
                loss = train_epoch(
                    self._learner, self._batches, request.fields["epoch"], self._training
                )
                return Message("trained", {"loss": loss})
        return super().do(request)

    def values(self, inputs: dict[str, NDArray[Any]]) -> list[Value]:
        """Return the outputs of the PyTorch network, or before ``begin`` of the ONNX model."""
        if self._network is None:
            return super().values(inputs)
        ((_, array),) = inputs.items()
        with torch.no_grad():
            answer = self._network(torch.from_numpy(array))
        return [output.numpy() for output in outputs_of(answer)]

    def _begin(self, request: Message) -> Message:
        fields, (x, y) = request.fields, request.arrays
        assert x is not None
        assert y is not None
        task = Task.from_json(fields["task"])
        self._training = training = Training(**fields["training"])
        dtype = np.dtype(fields["dtype"])
        shape = tuple(fields["shape"])
        layout = Layout(fields["layout"], shape, shape)
        feeding = Feeding(fields["input"], layout, dtype, fields["batch"])
        network = converted(self._data)
        rows = fields["batch"] or CHECKED_ROWS
        example = feeding.fed(x[:rows], task)
        output = self._agreeing_output(network, example, task)
        self._batches = ShuffledBatches(x, y, task, training)
        steps = self._batches.per_epoch * training.epochs
        fed = Fed(network, layout.axes, output)
        self._learner = TorchLearner(fed, task, None, training, steps, CPU, {})
        self._network = network
        weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
        return Message("begun", {"weights": weights})

    def _agreeing_output(
        self, network: nn.Module, example: dict[str, NDArray[Any]], task: Task
    ) -> int:
        """Return the index of the first output with scores, after comparing both runtimes."""
        expected = super().values(example)
        ((_, array),) = example.items()
        try:
            with torch.no_grad():
                found = outputs_of(network.eval()(torch.from_numpy(array)))
        except Exception as error:  # any operator of a converted graph may fail, with any error
            raise CannotRunError(f"the converted model does not run in PyTorch: {error}") from None
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            if not isinstance(one, np.ndarray) or not _scores(one, task):
                continue
            apart = np.abs(one - other.numpy()).max() if one.shape == other.shape else np.inf
            if not apart <= TOLERANCE * max(1.0, np.abs(one).max()):
                raise CannotRunError(
                    f"the scores of the converted model differ from the file's by {apart:g}"
                )
            return number
        raise CannotRunError(
            "the model outputs class numbers without scores, which cannot be trained"
        )


def _scores(array: NDArray[Any], task: Task) -> bool:
    """Return whether an output holds one score for each class of the task."""
    if not np.issubdtype(array.dtype, np.floating):
        return False
    found: dict[str, Predictions] = found_in({"": array}, len(array), task.classes).predictions
    return bool(found) and found[""].scores.shape[1] == task.classes


def warm_up() -> None:
    """Convert, train and query a network of two layers."""
    task = Task.of((4, 4, 1), 2)
    rng = np.random.default_rng(0)
    training = Training(epochs=1, batch_size=2, device="cpu")
    batches = ShuffledBatches(
        rng.integers(0, 256, (4, 4, 4, 1), dtype=np.uint8), np.array([0, 1, 0, 1]), task, training
    )
    fed = Fed(converted(_two_layers(rng)), "NCHW", 0)
    learner = TorchLearner(fed, task, None, training, batches.per_epoch, CPU, {})
    train_epoch(learner, batches, 0, training)
    learner.scores(task.example_inputs(2, seed=0))


def _two_layers(rng: np.random.Generator) -> bytes:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "matrix"], ["y"]),
    ]
    weights = {"kernel": (3, 1, 3, 3), "matrix": (48, 2)}
    tensors = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    graph = helper.make_graph(
        nodes,
        "two layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        tensors,
    )
    opset = helper.make_opsetid("", 18)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return bytes(model.SerializeToString())
