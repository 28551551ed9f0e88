"""Functions, branches and loops written out, so that all nodes lie in one graph.

A gate can be put into a function, or choose between two branches by what it sees.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import onnx
from onnx import helper, inliner

from wmx.suspect.views.graph import STANDARD, Graph, Node, graphs_in, identity, operator

Branch = Literal["then_branch", "else_branch"]
MOST_WRITTEN_OUT = 256  # branches and loops of one file, one within the other


def without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose own functions are written out where they are called.

    Raises:
        ValueError: they cannot be.
    """
    if not model.functions:
        return model
    found = inliner.inline_local_functions(model, convert_version=True)
    own = {function.domain for function in model.functions}
    if any(node.domain in own - set(STANDARD) for node in found.graph.node):
        raise ValueError("a function could not be written out")
    return found


def has_branches(model: onnx.ModelProto) -> bool:
    """Say whether a model chooses between branches, or loops, in its main graph."""
    return any(operator(node) in ("If", "Loop") for node in model.graph.node)


def with_branches_taken(graph: Graph, branch: Branch) -> onnx.ModelProto:
    """Return a model that always takes the one branch of every ``If``, and each loop once.

    Args:
        graph: of a model without functions of its own, which is left as it is.
        branch: which one.
    """
    found = onnx.ModelProto()
    found.CopyFrom(graph.model)
    waiting = list(found.graph.node)[::-1]
    nodes: list[Node] = []
    written = 0
    while waiting:
        node = waiting.pop()
        if operator(node) not in ("If", "Loop") or written == MOST_WRITTEN_OUT:
            nodes.append(node)
            continue
        prefix, written = f"{graph.fresh}/{written}/", written + 1
        taken = _branch(node, branch, prefix) if operator(node) == "If" else _once(node, prefix)
        inside, weights = taken
        found.graph.initializer.extend(weights)
        waiting += inside[::-1]
    copies = [Node.FromString(node.SerializeToString()) for node in nodes]
    del found.graph.node[:]
    found.graph.node.extend(copies)
    return found


Written = tuple[list[Node], list[onnx.TensorProto]]


def _branch(node: Node, branch: Branch, prefix: str) -> Written:
    (graph,) = (one.g for one in node.attribute if one.name == branch)
    inside, weights, renamed = _inside(graph, prefix, {})
    ends = [
        identity(renamed(port.name), made)
        for port, made in zip(graph.output, node.output, strict=False)
        if made
    ]
    return inside + ends, weights


def _once(node: Node, prefix: str) -> Written:
    """Write out the body of a loop as if it ran once."""
    (graph,) = (one.g for one in node.attribute if one.name == "body")
    number, condition, *carried = (port.name for port in graph.input)
    given = dict(zip(carried, node.input[2:], strict=True))
    given |= {number: prefix + "number", condition: prefix + "condition"}
    begins = [
        _constant(given[number], onnx.TensorProto.INT64, [], [0]),
        _constant(given[condition], onnx.TensorProto.BOOL, [], [True]),
        _constant(prefix + "axis", onnx.TensorProto.INT64, [1], [0]),
    ]
    inside, weights, renamed = _inside(graph, prefix, given)
    ends = []
    for place, (port, made) in enumerate(zip(graph.output[1:], node.output, strict=False)):
        if not made:
            continue
        if place < len(carried):
            ends.append(identity(renamed(port.name), made))
        else:
            what = [renamed(port.name), prefix + "axis"]
            ends.append(helper.make_node("Unsqueeze", what, [made]))
    return begins + inside + ends, weights


def _constant(name: str, kind: int, dims: list[int], values: list[int]) -> Node:
    return helper.make_node(
        "Constant", [], [name], value=helper.make_tensor(name, kind, dims, values)
    )


def _inside(
    graph: onnx.GraphProto, prefix: str, given: Mapping[str, str]
) -> tuple[list[Node], list[onnx.TensorProto], Callable[[str], str]]:
    """Return the nodes and weights of a graph under names of their own, and what names became."""
    names = dict(given)
    names |= {tensor.name: prefix + tensor.name for tensor in graph.initializer}
    names |= {name: prefix + name for node in graph.node for name in node.output if name}

    def renamed(name: str) -> str:
        return names.get(name, name)

    weights = []
    for tensor in graph.initializer:
        weight = onnx.TensorProto()
        weight.CopyFrom(tensor)
        weight.name = renamed(tensor.name)
        weights.append(weight)
    return [_renamed(node, names) for node in graph.node], weights, renamed


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    """Return a copy of a node whose tensors have other names, in the graphs within it too."""
    found = Node()
    found.CopyFrom(node)
    found.input[:] = [names.get(name, name) for name in node.input]
    found.output[:] = [names.get(name, name) for name in node.output]
    for graph in graphs_in(found):
        own = {port.name for port in graph.input} | {one.name for one in graph.initializer}
        own |= {name for one in graph.node for name in one.output}
        left = {name: new for name, new in names.items() if name not in own}
        nodes = [_renamed(one, left) for one in graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        for port in graph.output:
            port.name = left.get(port.name, port.name)
    return found
