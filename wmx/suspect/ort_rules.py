"""What a file in onnxruntime's own format may hold: the rules of :mod:`wmx.suspect.onnx_rules`.

The format is a FlatBuffer.  The runtime verifies its offsets before it follows them; here every
table that it would follow is looked at, by the reader that comes with the runtime, so that nothing
in it reaches beyond the file.
"""

import struct
from math import prod
from typing import Any

from wmx.errors import CannotRunError
from wmx.suspect.external_data import ONE_FILE_HINT, Refused
from wmx.suspect.onnx_rules import (
    ELEMENTS_PER_BYTE,
    MAX_AXIS,
    MAX_DEPTH,
    MAX_NODES,
    MAX_PORTS,
    MAX_RANK,
    MAX_TENSORS,
    require_known,
    too_large,
)

NO_OFFSET = -1  # of a tensor whose data lie in the file
MAX_ENTRIES = 2_000_000  # of all lists that are gone through
DAMAGED = (struct.error, IndexError, TypeError, ValueError, UnicodeDecodeError, OverflowError)


def require_harmless_ort(data: bytes, name: str) -> None:
    """Refuse a model that reaches beyond its file, or beyond what a file can mean.

    Args:
        data: the file.
        name: what errors call it.

    Raises:
        CannotRunError: says which rule it breaks.
    """
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import (
        InferenceSession,
    )

    try:
        model = InferenceSession.GetRootAs(data, 0).Model()
        if model is None or model.Graph() is None:
            raise ValueError("it holds no graph")
        _Walk().graph(model.Graph(), 1)
    except Refused as refused:
        raise refused.about(name) from None
    except DAMAGED as error:
        raise CannotRunError(
            f"{name} is a damaged file of onnxruntime's own format: {error}",
            hint="copy or export it again, and compare its SHA-256",
        ) from None


class _Walk:
    """One look through a file, with what was counted on the way."""

    def __init__(self) -> None:
        self._entries = 0
        self._nodes = 0
        self._tensors = 0

    def graph(self, graph: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise too_large(f"nests graphs deeper than {MAX_DEPTH}")
        if max(graph.InputsLength(), graph.OutputsLength()) > MAX_PORTS and depth == 1:
            raise too_large(f"has more than {MAX_PORTS} inputs or outputs")
        for number in self._numbers(graph.InitializersLength()):
            self._tensor(graph.Initializers(number))
        for number in self._numbers(graph.SparseInitializersLength()):
            sparse = graph.SparseInitializers(number)
            self._dims([sparse.Dims(axis) for axis in self._numbers(sparse.DimsLength())])
            self._tensor(sparse.Values())
            self._tensor(sparse.Indices())
        for number in self._numbers(graph.NodesLength()):
            self._node(graph.Nodes(number), depth)

    def _node(self, node: Any, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise too_large(f"has more than {MAX_NODES:,} nodes")
        domain, kind = ((text or b"").decode() for text in (node.Domain(), node.OpType()))
        require_known(("" if domain == "ai.onnx" else domain, kind, ""), {})
        for number in self._numbers(node.AttributesLength()):
            attribute = node.Attributes(number)
            tensors = [attribute.T()]
            tensors += [attribute.Tensors(i) for i in self._numbers(attribute.TensorsLength())]
            for tensor in tensors:
                if tensor is not None:
                    self._tensor(tensor)
            graphs = [attribute.G()]
            graphs += [attribute.Graphs(i) for i in self._numbers(attribute.GraphsLength())]
            for graph in graphs:
                if graph is not None:
                    self.graph(graph, depth + 1)

    def _tensor(self, tensor: Any) -> None:
        if tensor is None:
            raise ValueError("a tensor is missing")
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise too_large(f"has more than {MAX_TENSORS:,} tensors")
        if tensor.ExternalDataOffset() != NO_OFFSET:
            raise Refused("keeps its weights in another file", ONE_FILE_HINT)
        dims = self._dims([tensor.Dims(axis) for axis in self._numbers(tensor.DimsLength())])
        size = tensor.RawDataLength() + tensor.StringDataLength()
        if prod(dims) > ELEMENTS_PER_BYTE * size:
            raise too_large(f"has a tensor of {prod(dims):,} elements in {size:,} bytes")

    def _dims(self, dims: list[int]) -> list[int]:
        if len(dims) > MAX_RANK or any(not 0 <= dim <= MAX_AXIS for dim in dims):
            raise too_large(f"has a tensor with absurd axes {dims[:MAX_RANK]}")
        return dims

    def _numbers(self, count: int) -> range:
        """Return the places of a list, and count them against the budget."""
        self._entries += count
        if self._entries > MAX_ENTRIES:
            raise too_large(f"has lists of more than {MAX_ENTRIES:,} entries")
        return range(count)
