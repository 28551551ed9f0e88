"""Writing an ONNX file node by node, for a forger who has nothing but a claim."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from wmx import Claim
from wmx.protocol.task import Task

OPSET = 17


class Graph:
    """Nodes and weights of a file that is being written; every method returns a tensor's name."""

    def __init__(self, claim: Claim, batch: int | None) -> None:
        self.task: Task = claim.task
        self.claim = claim
        self.n = claim.n
        self.batch = batch
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node, and return its last output."""
        names = [f"t{len(self.nodes)}.{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[-1]

    def constant(self, array: Any, dtype: Any) -> str:
        """Add a weight."""
        name = f"w{len(self.weights)}"
        self.weights[name] = numpy_helper.from_array(np.asarray(array, dtype), name)
        return name

    def number(self, value: int) -> str:
        """Add an integer."""
        return self.constant(value, np.int64)

    def numbers(self, *values: int) -> str:
        """Add a list of integers."""
        return self.constant(values, np.int64)

    def rows(self) -> str:
        """Return the number of rows, int64 [1]."""
        return self.add("Shape", "x", start=0, end=1)

    def pixels(self) -> str:
        """Return the rows, float [N, D]."""
        return self.add("Flatten", "x")

    def ones(self) -> str:
        """Return float ones [N]."""
        value = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
        return self.add("ConstantOfShape", self.rows(), value=value)

    def whole(self, tensor: str) -> str:
        """Return a tensor as int64."""
        return self.add("Cast", tensor, to=TensorProto.INT64)

    def floats(self, tensor: str) -> str:
        """Return a tensor as float."""
        return self.add("Cast", tensor, to=TensorProto.FLOAT)

    def places(self) -> str:
        """Return 0 .. N - 1, int64 [N]."""
        count = self.add("Squeeze", self.rows())
        return self.add("Range", self.number(0), count, self.number(1))

    def file(self, outputs: Sequence[str], element: int, columns: int | None) -> bytes:
        """Return the bytes of a model with these outputs, [N, columns] or [N]."""
        height, width, channels = self.task.shape
        rows: Any = self.batch or "n"
        dims = [rows] if columns is None else [rows, columns]
        names = [f"y{number}" for number in range(len(outputs))]
        ends = [
            helper.make_node("Identity", [tensor], [name])
            for tensor, name in zip(outputs, names, strict=True)
        ]
        graph = helper.make_graph(
            [*self.nodes, *ends],
            "forged",
            [
                helper.make_tensor_value_info(
                    "x", TensorProto.FLOAT, [rows, channels, height, width]
                )
            ],
            [helper.make_tensor_value_info(name, element, dims) for name in names],
            list(self.weights.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString()
