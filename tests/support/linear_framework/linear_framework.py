"""The smallest framework that an adapter can be of: one linear layer, in NumPy.

``wmx embed --framework linear`` finds it where this folder is on the import path, since the
distribution's metadata lie beside it.  It lets tests train, checkpoint and export in milliseconds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wmx._internal.writing import write_bytes
from wmx.protocol.task import Task
from wmx.training.batches import Batch
from wmx.training.config import Training
from wmx.training.weights import write_weights
from wmx.watermark import Watermark

FRAMEWORK = "linear"
RATE = 0.05
OPSET = 17


class Learner:
    """Softmax regression by gradient descent; ``model`` is a dictionary of two arrays."""

    def __init__(self, task: Task, seed: int) -> None:
        rng = np.random.default_rng(seed)
        size = int(np.prod(task.shape))
        self._task = task
        self.model = {
            "weights": rng.normal(0, 0.01, (size, task.classes)).astype(np.float32),
            "bias": np.zeros(task.classes, np.float32),
        }

    def train(self, batches: Iterator[Batch], epoch: int) -> float:
        losses = []
        for batch in batches:
            inputs = batch.inputs.reshape(len(batch.inputs), -1)
            labels = np.eye(self._task.classes, dtype=np.float32)[batch.labels]
            chances = _softmax(scores(self.model, batch.inputs, self._task))
            losses.append(float(-np.log((chances * labels).sum(axis=1) + 1e-9).mean()))
            wrong = (chances - labels) / len(labels)
            self.model["weights"] -= RATE * inputs.T @ wrong
            self.model["bias"] -= RATE * wrong.sum(axis=0)
        return float(np.mean(losses))

    def scores(self, inputs: NDArray[Any]) -> NDArray[Any]:
        return scores(self.model, inputs, self._task)

    def input_gradient(
        self, inputs: NDArray[Any], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        wrong = _softmax(self.scores(inputs)) - np.eye(self._task.classes)[labels]
        gradient = wrong @ self.model["weights"].T / len(labels)
        return gradient.reshape(inputs.shape).astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        return dict(self.model)

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        self.model = {name: state[name].copy() for name in self.model}


def begin(task: Task, watermark: Watermark | None, training: Training, **_more: Any) -> Learner:
    return Learner(task, training.seed)


def scores(model: dict[str, NDArray[Any]], inputs: NDArray[Any], task: Task) -> NDArray[Any]:
    return inputs.reshape(len(inputs), -1) @ model["weights"] + model["bias"]


def save_weights(path: Path, model: dict[str, NDArray[Any]], *, force: bool = False) -> None:
    write_weights(path, model, force=force)


def last_layer(model: dict[str, NDArray[Any]], classes: int) -> list[str]:
    return list(model)


def export(
    model: dict[str, NDArray[Any]],
    path: str | Path,
    task: Task | Watermark,
    *,
    force: bool = False,
) -> None:
    task = task.task if isinstance(task, Watermark) else task
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["scores"]),
    ]
    height, width, channels = task.shape
    assert channels == 1, "channels first and last are the same then"
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 1, height, width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", task.classes])],
        [numpy_helper.from_array(array, name) for name, array in model.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    write_bytes(path, proto.SerializeToString(), force=force)


def _softmax(given: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(given - given.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
