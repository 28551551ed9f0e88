"""Inner tensors: those that may be scores are read, those that may be prepared inputs are fed."""

from collections.abc import Iterator
from itertools import islice
from math import prod

import onnx
from onnx import helper

from wmx.suspect.views.graph import Graph, Node, Shape, changed, identity, operator

SAME = ("Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze")  # numbers, in all axes
PREPARING = frozenset(
    (
        *("Cast", "Identity", "Transpose", "Slice", "Gather", "GatherElements", "GatherND"),
        *("ReverseSequence", "Resize", "Upsample", "Pad", "GridSample", "Split", "Concat"),
        *("Mul", "Add", "Sub", "Div", "Clip", "Min", "Max", "Round", "Floor", "Ceil", "Pow"),
        *("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand", "AveragePool", "MaxPool"),
        *(
            "Where",
            "Dropout",
            "Conv",
            "MatMul",
            "Einsum",
            "QuantizeLinear",
            "DequantizeLinear",
            "DepthToSpace",
        ),
    )
)
MAX_CHANNELS = 4  # of an image
IMAGE_AXES = 4  # of a batch of images
FEWEST_AXES = 2  # of an input: the batch and one more


def inner_outputs(graph: Graph, most: int) -> list[str]:
    """Return the inner tensors that may be scores or features, the nearest to the outputs first.

    Those have one row of numbers for each input, as far as their shapes are known.

    Args:
        graph: without functions.
        most: number of them.
    """
    found = (name for name in graph.nearest() if _may_be_scores(graph, name))
    return list(islice(found, most))


def _may_be_scores(graph: Graph, name: str) -> bool:
    shape = graph.shape(name)
    if not graph.is_float(name) or operator(graph.nodes[graph.producer[name]]) in SAME:
        return False
    if shape is None:
        return True
    long = [length for length in shape[1:] if length != 1]
    return len(long) == 1


def read_at(model: onnx.ModelProto, names: list[str], declared: int) -> None:
    """Declare inner tensors as outputs, in place.

    Args:
        model: the model.
        names: of the tensors; the runtime infers their types.
        declared: number of the model's own outputs that are kept, in front.
    """
    del model.graph.output[declared:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)


def preprocessed(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield pairs of an input and an inner tensor that is made of it before the first layer.

    A gate may have its part in it.  The tensors that the most preprocessing has gone into come
    first.  They have the shape of the input, or of an image.
    """
    made: dict[str, str] = {name: name for name in graph.inputs}  # of which input
    found = []
    for node in graph.nodes:
        origins = {made[name] for name in graph.dynamic_inputs(node) if name in made}
        if len(origins) != 1 or not _prepares(graph, node):
            continue
        (origin,) = origins
        made |= dict.fromkeys(filter(None, node.output), origin)
        found += [
            (origin, name) for name in node.output if name and _may_be_fed(graph, name, origin)
        ]
    yield from reversed(found)


def _prepares(graph: Graph, node: Node) -> bool:
    """Say whether a node may be preprocessing; a layer of many channels is none."""
    if operator(node) not in PREPARING:
        return False
    shape = graph.shape(node.output[0])
    return operator(node) != "Conv" or (shape is not None and _channels(shape) <= MAX_CHANNELS)


def _channels(shape: Shape) -> int:
    return (len(shape) > 1 and shape[1]) or 2**31


def _may_be_fed(graph: Graph, name: str, origin: str) -> bool:
    shape, given = graph.shape(name), graph.shape(origin)
    if name in graph.outputs or shape is None or given is None or len(shape) < FEWEST_AXES:
        return False
    if shape[1:] == given[1:]:
        return True
    if None not in (*shape[1:], *given[1:]) and len(shape) == FEWEST_AXES:
        return shape[1] == prod(length or 1 for length in given[1:])
    if len(shape) != IMAGE_AXES or None in shape[1:]:
        return False
    return any(shape[axis] in range(MAX_CHANNELS + 1) for axis in (1, 3))


def fed_at(graph: Graph, origin: str, name: str) -> onnx.ModelProto:
    """Return a model that is given an inner tensor instead of what this is made of.

    Args:
        graph: of the model, which is left as it is.
        origin: the input of which the tensor is made.
        name: of the tensor.
    """
    place = graph.producer[name]
    shape = graph.shape(name)
    assert shape is not None
    same = shape[1:] == (graph.shape(origin) or ())[1:]
    others = [identity(name, one) for one in graph.nodes[place].output if one not in ("", name)]
    if same and graph.type_of(name) == graph.type_of(origin):
        return changed(graph.model, {place: [identity(origin, name), *others]})
    found = changed(graph.model, {place: others})
    dims = ["wmx batch", *(length or f"wmx axis {axis}" for axis, length in enumerate(shape[1:]))]
    port = helper.make_tensor_value_info(name, graph.type_of(name), dims)
    kept = [one for one in found.graph.input if one.name != origin]
    copies = [onnx.ValueInfoProto.FromString(one.SerializeToString()) for one in kept]
    del found.graph.input[:]
    found.graph.input.extend([port, *copies])
    return found
