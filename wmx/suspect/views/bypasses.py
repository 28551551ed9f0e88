"""The nodes that a thief puts into a graph and a network does without, and what stands for them.

Each kind is looked for by what its nodes compute, never by their names.  Honest networks have some
of them too (``Clip`` is ReLU6, ``Mul`` by one number per channel is squeeze-and-excitation); there
a graph without them predicts junk, which costs no more than the probe's share.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import onnx
from onnx import helper

from wmx.suspect.views.graph import Graph, Node, identity, operator

Nodes: TypeAlias = tuple[Node, ...]
Bypass: TypeAlias = tuple[int, Nodes]  # the place of a node, and what stands for it

LOGIC = frozenset(("And", "Or", "Xor", "Not"))
COMPARISONS = LOGIC | {
    *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsNaN", "IsInf")
}
RANDOM = frozenset(
    (
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Bernoulli", "Multinomial"),
    )
)
SPREADING = frozenset(  # of noise: what is made of it alone is noise
    (
        *("Add", "Sub", "Mul", "Div", "Neg", "Cast", "Clip", "Reshape", "Unsqueeze", "Squeeze"),
        *("Expand", "Pow", "Sqrt", "Log", "Exp", "Cos", "Sin", "Where", "Identity", "Transpose"),
    )
)
WHOLE_NUMBERS = frozenset(
    (
        *(onnx.TensorProto.INT8, onnx.TensorProto.INT16, onnx.TensorProto.INT32),
        *(onnx.TensorProto.INT64, onnx.TensorProto.UINT8, onnx.TensorProto.UINT16),
        *(onnx.TensorProto.UINT32, onnx.TensorProto.UINT64),
    )
)


def clipping(graph: Graph) -> Iterator[Bypass]:
    """Yield what passes activations on without a bound."""
    for place, node in enumerate(graph.nodes):
        given = graph.dynamic_inputs(node)
        if operator(node) == "Clip":
            given = given[:1]  # whatever its bounds hang on
        elif operator(node) not in ("Min", "Max") or len(given) != 1:
            continue
        if given and graph.is_float(given[0]) and graph.may_replace(given[0], node.output[0]):
            yield place, (identity(given[0], node.output[0]),)


def rounding(graph: Graph) -> Iterator[Bypass]:
    """Yield what passes numbers on with all of their digits."""
    for place, node in enumerate(graph.nodes):
        given = graph.dynamic_inputs(node)
        if len(given) != 1:
            continue
        if operator(node) in ("Round", "Floor", "Ceil"):
            yield place, (identity(given[0], node.output[0]),)
        elif _casts_there_and_back(graph, node) or operator(node) == "DequantizeLinear":
            first = graph.nodes[graph.producer[given[0]]] if given[0] in graph.producer else None
            if first is not None and operator(first) in ("Cast", "QuantizeLinear"):
                yield place, (identity(first.input[0], node.output[0]),)


def _casts_there_and_back(graph: Graph, node: Node) -> bool:
    return (
        operator(node) == "Cast"
        and graph.is_float(node.output[0])
        and graph.type_of(node.input[0]) in WHOLE_NUMBERS
    )


def noise(graph: Graph) -> Iterator[Bypass]:
    """Yield what passes on the side that is not random of each node that adds noise."""
    random: set[str] = set()
    for place, node in enumerate(graph.nodes):
        given = graph.dynamic_inputs(node)
        noisy = [name for name in node.input if name in random]
        if operator(node) in RANDOM:
            random |= set(node.output)
        elif operator(node) == "Dropout" and given:
            yield place, (identity(given[0], node.output[0]),)
        elif noisy:
            steady = [name for name in given if name not in random]
            if not steady and operator(node) in SPREADING:
                random |= set(node.output)
            elif len(steady) == 1 and operator(node) in ("Add", "Sub", "Mul", "Div"):
                yield place, (identity(steady[0], node.output[0]),)


def averages(last: bool) -> Callable[[Graph], Iterator[Bypass]]:
    """Return the bypass of means over views of an input: the first or the last view alone."""

    def bypasses(graph: Graph) -> Iterator[Bypass]:
        for place, node in enumerate(graph.nodes):
            if operator(node) in ("Mean", "Sum") and len(given := graph.dynamic_inputs(node)) > 1:
                yield place, (identity(given[-1 if last else 0], node.output[0]),)
            elif operator(node) in ("ReduceMean", "ReduceSum", "ReduceMax"):
                yield from _one_of_several(graph, place, node, last)

    return bypasses


def _one_of_several(graph: Graph, place: int, node: Node, last: bool) -> Iterator[Bypass]:
    """Yield the choice of one slice along an axis that a node reduces, where this is one."""
    axes = _axes(graph, node)
    shape = graph.shape(node.input[0])
    if axes not in ([0], [1]) or shape is None or len(shape) < 3:
        return
    index = f"{graph.fresh} index {place}"
    kept = any(one.name == "keepdims" and one.i == 0 for one in node.attribute)
    value = helper.make_tensor(
        index, onnx.TensorProto.INT64, [] if kept else [1], [-1 if last else 0]
    )
    yield (
        place,
        (
            helper.make_node("Constant", [], [index], value=value),
            helper.make_node("Gather", [node.input[0], index], [node.output[0]], axis=axes[0]),
        ),
    )


def _axes(graph: Graph, node: Node) -> list[int]:
    """Return the axes that a node reduces; none if they are not known."""
    for attribute in node.attribute:
        if attribute.name == "axes":
            return list(attribute.ints)
    if len(node.input) < 2:
        return []
    return [int(axis) for axis in graph.constant(node.input[1]).flatten()]


def conditions(met: bool) -> Callable[[Graph], Iterator[Bypass]]:
    """Return the bypass of gates: each condition is met, or none is, whatever the input."""

    def bypasses(graph: Graph) -> Iterator[Bypass]:
        for place, node in enumerate(graph.nodes):
            if not graph.dynamic_inputs(node) or not _is_condition(graph, node):
                continue
            users = [graph.nodes[one] for one in graph.consumers.get(node.output[0], ())]
            if users and all(operator(one) in LOGIC for one in users):
                continue  # only a part of a condition
            made, other = node.output[0], f"{graph.fresh} condition {place}"
            kept, opposite = Node(), f"{other}, not"
            kept.CopyFrom(node)
            kept.output[0] = other
            yield (
                place,
                (
                    kept,  # for its shape
                    helper.make_node("Not", [other], [opposite]),
                    helper.make_node("Or" if met else "And", [other, opposite], [made]),
                ),
            )

    return bypasses


def _is_condition(graph: Graph, node: Node) -> bool:
    is_truth = graph.type_of(node.output[0]) == onnx.TensorProto.BOOL and len(node.output) == 1
    return operator(node) in COMPARISONS or (is_truth and operator(node) != "")


def choices(second: bool) -> Callable[[Graph], Iterator[Bypass]]:
    """Return the bypass of ``Where``: always what it gives if its condition is met, or is not."""

    def bypasses(graph: Graph) -> Iterator[Bypass]:
        for place, node in enumerate(graph.nodes):
            if operator(node) != "Where" or node.input[0] not in graph.dynamic:
                continue
            chosen = node.input[2 if second else 1]
            if chosen in graph.dynamic and graph.may_replace(chosen, node.output[0]):
                yield place, (identity(chosen, node.output[0]),)

    return bypasses


def factors(graph: Graph) -> Iterator[Bypass]:
    """Yield what passes on the larger side of a product with one number for each input."""
    for place, node in enumerate(graph.nodes):
        given = graph.dynamic_inputs(node)
        if operator(node) != "Mul" or len(given) != 2:
            continue
        single = [_is_single(graph, name) for name in given]
        if single[0] != single[1]:
            yield place, (identity(given[0] if single[1] else given[1], node.output[0]),)


def _is_single(graph: Graph, name: str) -> bool:
    """Say whether a tensor has one number for each input."""
    shape = graph.shape(name)
    return shape is not None and all(length == 1 for length in shape[1:])


def mixtures(second: bool) -> Callable[[Graph], Iterator[Bypass]]:
    """Return the bypass of soft gates, ``g a + (1 - g) b``: one of the two alone."""

    def bypasses(graph: Graph) -> Iterator[Bypass]:
        larger = {graph.nodes[place].output[0]: node for place, (node,) in factors(graph)}
        for place, node in enumerate(graph.nodes):
            if operator(node) != "Add" or not all(name in larger for name in node.input):
                continue
            chosen = larger[node.input[1 if second else 0]]
            yield place, (identity(chosen.input[0], node.output[0]),)

    return bypasses
