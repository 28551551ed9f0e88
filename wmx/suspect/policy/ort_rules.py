"""Rules for files in onnxruntime's own format (ORT), the same as for ONNX files.

The format is a FlatBuffer of onnxruntime's ``core/flatbuffers/schema/ort.fbs``.  The runtime
verifies its offsets before it follows them; here every table that it would follow is checked, so
that none refers to other files.  Many fields may point to one name, tensor or graph:
each is checked once, and its expanded size is counted as often as it is used.
"""

from dataclasses import dataclass
from math import prod

from wmx._internal.flatbuffer import Table
from wmx._internal.work import MalformedError, Work
from wmx.errors import CannotRunError
from wmx.suspect.policy.external_data import ONE_FILE_HINT, Refused
from wmx.suspect.policy.onnx_rules import (
    ELEMENTS_PER_BYTE,
    MAX_AXIS,
    MAX_DEPTH,
    MAX_NODES,
    MAX_STEPS,
    MAX_TENSORS,
    known_as,
    require_known,
    too_large,
)
from wmx.suspect.types import MAX_PORTS, MAX_RANK

NO_OFFSET = -1  # of a tensor whose data lie in the file

# fields in the order of ort.fbs
SESSION_MODEL = 1
MODEL_GRAPH = 7
INITIALIZERS, NODES, INPUTS, OUTPUTS, SPARSE_INITIALIZERS = 0, 2, 5, 6, 7
NODE_DOMAIN, NODE_OPERATOR, NODE_ATTRIBUTES = 2, 5, 10
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 6, 7, 11, 12
TENSOR_DIMS, TENSOR_RAW_DATA, TENSOR_TEXTS, TENSOR_EXTERNAL_OFFSET = 2, 4, 5, 6
SPARSE_VALUES, SPARSE_INDICES, SPARSE_DIMS = 0, 1, 2


def require_harmless_ort(data: bytes, name: str) -> None:
    """Refuse a model that refers to other files or custom libraries, or has impossible sizes.

    Args:
        data: the file.
        name: of the model, for error messages.

    Raises:
        CannotRunError: it breaks a rule, which the message names, or is damaged.
    """
    try:
        work = Work(MAX_STEPS)
        model = Table.root(data, work).table(SESSION_MODEL)
        graph = None if model is None else model.table(MODEL_GRAPH)
        if graph is None:
            raise MalformedError("it holds no graph")
        _Walk().model(graph)
    except Refused as refused:
        raise refused.about(name) from None
    except MalformedError as error:
        raise CannotRunError(
            f"{name} is a damaged file of onnxruntime's own format: {error}",
            hint="copy or export it again, and compare its SHA-256",
        ) from None


@dataclass(frozen=True)
class _WrittenOut:
    """What a graph or node is when nothing in it is shared: its nodes, and graphs within it."""

    nodes: int
    height: int


class _Walk:
    """One look through a file: what was seen, by its position."""

    def __init__(self) -> None:
        self._graphs: dict[int, _WrittenOut] = {}
        self._nodes: dict[int, _WrittenOut] = {}
        self._tensors: set[int] = set()
        self._operators: set[tuple[int | None, int | None]] = set()

    def model(self, graph: Table) -> None:
        if max(graph.count(INPUTS, 4), graph.count(OUTPUTS, 4)) > MAX_PORTS:
            raise too_large(f"has more than {MAX_PORTS} inputs or outputs")
        self._graph(graph, 1)

    def _graph(self, graph: Table, depth: int) -> _WrittenOut:
        known = self._graphs.get(graph.position)
        if depth + (0 if known is None else known.height - 1) > MAX_DEPTH:
            raise too_large(f"nests graphs deeper than {MAX_DEPTH}")
        if known is not None:
            return known
        for tensor in graph.tables(INITIALIZERS):
            self._tensor(tensor)
        for sparse in graph.tables(SPARSE_INITIALIZERS):
            self._sparse_tensor(sparse)
        nodes, height = 0, 1
        for node in graph.tables(NODES):
            found = self._node(node, depth)
            nodes, height = nodes + found.nodes, max(height, 1 + found.height)
            if nodes > MAX_NODES:
                raise too_large(f"has more than {MAX_NODES:,} nodes")
        self._graphs[graph.position] = _WrittenOut(nodes, height)
        return self._graphs[graph.position]

    def _node(self, node: Table, depth: int) -> _WrittenOut:
        known = self._nodes.get(node.position)
        if known is not None:
            if depth + known.height > MAX_DEPTH:
                raise too_large(f"nests graphs deeper than {MAX_DEPTH}")
            return known
        self._operator(node)
        nodes, height = 1, 0
        for attribute in node.tables(NODE_ATTRIBUTES):
            for tensor in _one_and_many(attribute, ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                self._tensor(tensor)
            for graph in _one_and_many(attribute, ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                found = self._graph(graph, depth + 1)
                nodes, height = nodes + found.nodes, max(height, found.height)
        self._nodes[node.position] = _WrittenOut(nodes, height)
        return self._nodes[node.position]

    def _operator(self, node: Table) -> None:
        places = (node.text_at(NODE_DOMAIN), node.text_at(NODE_OPERATOR))
        if places not in self._operators:
            domain, kind = ("" if place is None else node.text(place) for place in places)
            require_known((known_as(domain), kind, ""), {})
            self._operators.add(places)

    def _sparse_tensor(self, sparse: Table) -> None:
        _require_dims(sparse.numbers(SPARSE_DIMS))
        for field in (SPARSE_VALUES, SPARSE_INDICES):
            tensor = sparse.table(field)
            if tensor is None:
                raise MalformedError("a tensor is missing")
            self._tensor(tensor)

    def _tensor(self, tensor: Table) -> None:
        if tensor.position in self._tensors:
            return
        self._tensors.add(tensor.position)
        if len(self._tensors) > MAX_TENSORS:
            raise too_large(f"has more than {MAX_TENSORS:,} tensors")
        if tensor.number(TENSOR_EXTERNAL_OFFSET, NO_OFFSET) != NO_OFFSET:
            raise Refused("keeps its weights in another file", ONE_FILE_HINT)
        elements = prod(_require_dims(tensor.numbers(TENSOR_DIMS)))
        size = tensor.count(TENSOR_RAW_DATA) + tensor.count(TENSOR_TEXTS, 4)
        if elements > ELEMENTS_PER_BYTE * size:
            raise too_large(f"has a tensor of {elements:,} elements in {size:,} bytes")


def _one_and_many(attribute: Table, one: int, many: int) -> list[Table]:
    single = attribute.table(one)
    return [*([] if single is None else [single]), *attribute.tables(many)]


def _require_dims(dims: list[int]) -> list[int]:
    if len(dims) > MAX_RANK or any(not 0 <= dim <= MAX_AXIS for dim in dims):
        raise too_large(f"has a tensor with absurd axes {dims[:MAX_RANK]}")
    return dims
