"""What is connected to what in an ONNX graph, and changes of it.

For graphs without functions (:mod:`wmx.suspect.views.flattening`).  Nodes come in an order in which
each follows what it needs, as ONNX requires.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Node: TypeAlias = onnx.NodeProto
Shape: TypeAlias = tuple[int | None, ...]

STANDARD = ("", "ai.onnx")
FLOATS = frozenset(
    (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.BFLOAT16,
    )
)


class Graph:
    """A graph, and what follows from it.

    Attributes:
        model: the ``onnx.ModelProto``.
        nodes: of its main graph.
        inputs: names of what it is given, without weights.
        outputs: names of what it declares to give.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes: list[Node] = list(model.graph.node)
        weights = {tensor.name for tensor in model.graph.initializer}
        weights |= {tensor.values.name for tensor in model.graph.sparse_initializer}
        self.inputs = [port.name for port in model.graph.input if port.name not in weights]
        self.outputs = [port.name for port in model.graph.output]

    @cached_property
    def fresh(self) -> str:
        """What the names of added tensors begin with, and no name in the graph."""
        names = {name for node in self.nodes for name in (*needs(node), *node.output)}
        names |= {tensor.name for tensor in self.model.graph.initializer}
        begin = "wmx"
        while any(name.startswith(begin) for name in names):
            begin += "'"
        return begin

    @cached_property
    def producer(self) -> dict[str, int]:
        """The node that makes each tensor, by the tensor's name."""
        return {
            name: place for place, node in enumerate(self.nodes) for name in node.output if name
        }

    @cached_property
    def consumers(self) -> dict[str, list[int]]:
        """The nodes that use each tensor, by the tensor's name."""
        found: dict[str, list[int]] = {}
        for place, node in enumerate(self.nodes):
            for name in dict.fromkeys(needs(node)):
                found.setdefault(name, []).append(place)
        return found

    @cached_property
    def dynamic(self) -> set[str]:
        """The tensors that hang on what the graph is given."""
        found = set(self.inputs)
        for node in self.nodes:
            if any(name in found for name in needs(node)):
                found |= set(node.output)
        return found - {""}

    def dynamic_inputs(self, node: Node) -> list[str]:
        """Return the inputs of a node that hang on what the graph is given."""
        return [name for name in node.input if name in self.dynamic]

    def constant(self, name: str) -> NDArray[Any]:
        """Return the values of a small tensor that the graph holds; none if it is another one."""
        tensor = self._weights.get(name)
        if tensor is None and name in self.producer:
            node = self.nodes[self.producer[name]]
            found = [one.t for one in node.attribute if one.name == "value"]
            tensor = found[0] if operator(node) == "Constant" and found else None
        if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
            return np.zeros(0)
        return numpy_helper.to_array(tensor)

    @cached_property
    def _weights(self) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @cached_property
    def _types(self) -> dict[str, tuple[int, Shape | None]]:
        try:
            inferred = onnx.shape_inference.infer_shapes(self.model).graph
        except Exception:  # of C++, without a common base; types and shapes are only a help
            inferred = self.model.graph
        known = [*inferred.value_info, *inferred.input, *inferred.output]
        return {port.name: _type_of(port) for port in known}

    def is_float(self, name: str) -> bool:
        """Say whether a tensor holds floats, or may: its type need not be known."""
        kind = self.type_of(name)
        return kind in FLOATS or not kind

    def type_of(self, name: str) -> int:
        """Return the ``onnx.TensorProto`` type of a tensor's elements; 0 if it is not known."""
        return self._types.get(name, (0, None))[0]

    def shape(self, name: str) -> Shape | None:
        """Return a tensor's axes, each ``None`` if it is free; ``None`` if they are not known."""
        return self._types.get(name, (0, None))[1]

    def may_replace(self, given: str, made: str) -> bool:
        """Say whether a tensor may stand for another one: its shape is no other, if both are known.

        Args:
            given: name of the one.
            made: name of the other.
        """
        one, other = self.shape(given), self.shape(made)
        return one is None or other is None or one[1:] == other[1:]

    def nearest(self) -> Iterator[str]:
        """Yield the dynamic tensors that are no outputs, the nearest to the outputs first."""
        seen = set(self.outputs)
        waiting = deque(self.outputs)
        while waiting:
            name = waiting.popleft()
            place = self.producer.get(name)
            if place is None:
                continue
            for needed in needs(self.nodes[place]):
                if needed in self.dynamic and needed not in seen:
                    seen.add(needed)
                    waiting.append(needed)
                    if needed in self.producer:
                        yield needed


def operator(node: Node) -> str:
    """Return the name of a node's operator, if it is one of ONNX's own; else an empty string."""
    return str(node.op_type) if node.domain in STANDARD else ""


def needs(node: Node) -> Iterator[str]:
    """Yield the tensors that a node uses, those of the graphs within it included."""
    for name in node.input:
        if name:
            yield name
    for graph in graphs_in(node):
        inside = {port.name for port in graph.input} | {one.name for one in graph.initializer}
        for one in graph.node:
            yield from (name for name in needs(one) if name not in inside)
            inside |= set(one.output)
        yield from (port.name for port in graph.output if port.name not in inside)


def graphs_in(node: Node) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that a node holds, such as the branches of an ``If``."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def identity(given: str, made: str) -> Node:
    """Return a node that passes a tensor on.

    Args:
        given: its name.
        made: the name under which it goes on.
    """
    return helper.make_node("Identity", [given], [made])


def changed(model: onnx.ModelProto, replaced: Mapping[int, Iterable[Node]]) -> onnx.ModelProto:
    """Return a model in which nodes are replaced by others.

    Args:
        model: left as it is.
        replaced: what stands for each node, by its place.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    nodes = [
        one for place, node in enumerate(model.graph.node) for one in replaced.get(place, (node,))
    ]
    del found.graph.node[:]
    found.graph.node.extend(nodes)
    return found


def prune(model: onnx.ModelProto) -> None:
    """Remove the nodes that no output needs, and then the weights that no node needs, in place."""
    needed = {port.name for port in model.graph.output}
    kept: list[Node] = []
    for node in reversed(model.graph.node):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed |= set(needs(node))
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    nodes = kept[::-1]
    for field, left in ((model.graph.node, nodes), (model.graph.initializer, weights)):
        copies = [type(one).FromString(one.SerializeToString()) for one in left]
        del field[:]
        field.extend(copies)


def _type_of(port: onnx.ValueInfoProto) -> tuple[int, Shape | None]:
    if not port.type.HasField("tensor_type"):
        return 0, None
    tensor = port.type.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type, None
    return tensor.elem_type, tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in tensor.shape.dim
    )
