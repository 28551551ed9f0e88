"""FlatBuffers written field by field, so that several fields can point to one thing."""

import struct
from collections.abc import Mapping, Sequence


class Buffer:
    """Bytes that grow; what is pointed to lies behind what points to it, as the format wants it."""

    def __init__(self, identifier: bytes = b"ORTM") -> None:
        self.data = bytearray(4) + identifier

    def table(self, fields: Sequence[int], numbers: Mapping[int, int] | None = None) -> "Table":
        """Write a table: of fields that point elsewhere, and 64-bit numbers by field."""
        numbers = numbers or {}
        last = max([*fields, *numbers], default=-1)
        places = {field: 4 + 4 * at for at, field in enumerate(sorted(fields))}
        size = 4 + 4 * len(places)
        places |= {field: size + 8 * at for at, field in enumerate(sorted(numbers))}
        size += 8 * len(numbers)
        vtable = len(self.data)
        entries = [places.get(field, 0) for field in range(last + 1)]
        self.data += struct.pack(f"<HH{len(entries)}H", 4 + 2 * len(entries), size, *entries)
        self.data += bytes(-len(self.data) % 4)
        position = len(self.data)
        self.data += bytes(size)
        struct.pack_into("<i", self.data, position, position - vtable)
        for field, number in numbers.items():
            struct.pack_into("<q", self.data, position + places[field], number)
        return Table(self, position, {field: position + at for field, at in places.items()})

    def root(self, position: int) -> None:
        """Say which table is the outermost."""
        struct.pack_into("<I", self.data, 0, position)

    def text(self, content: bytes) -> int:
        """Write a text and return where it lies."""
        return self._counted(len(content), content + b"\0")

    def vector(self, count: int) -> "Vector":
        """Write a vector of so many pointers."""
        position = self._counted(count, bytes(4 * count))
        return Vector(self, position, count)

    def numbers(self, values: Sequence[int]) -> int:
        """Write a vector of 64-bit numbers and return where it lies."""
        return self._counted(len(values), struct.pack(f"<{len(values)}q", *values))

    def contents(self, size: int) -> int:
        """Write a vector of so many zero bytes and return where it lies."""
        return self._counted(size, bytes(size))

    def point(self, place: int, target: int) -> None:
        """Let a field or an entry at a place point to what lies further behind."""
        struct.pack_into("<I", self.data, place, target - place)

    def _counted(self, count: int, content: bytes) -> int:
        self.data += bytes(-len(self.data) % 4)
        position = len(self.data)
        self.data += struct.pack("<I", count) + content
        self.data += bytes(-len(self.data) % 4)
        return position


class Table:
    """A table that was written, whose fields still have to be told where they point."""

    def __init__(self, buffer: Buffer, position: int, places: Mapping[int, int]) -> None:
        self.position = position
        self._buffer, self._places = buffer, places

    def point(self, field: int, target: int) -> None:
        """Let a field point to what lies at a position."""
        self._buffer.point(self._places[field], target)


class Vector:
    """A vector of pointers."""

    def __init__(self, buffer: Buffer, position: int, count: int) -> None:
        self.position, self.count = position, count
        self._buffer = buffer

    def point(self, entry: int, target: int) -> None:
        """Let an entry point to what lies at a position."""
        self._buffer.point(self.position + 4 + 4 * entry, target)


def model(graph_fields: Sequence[int]) -> tuple[Buffer, Table]:
    """Return a session of onnxruntime's format whose graph has these fields."""
    buffer = Buffer()
    session = buffer.table([1])
    buffer.root(session.position)
    outermost = buffer.table([7])
    session.point(1, outermost.position)
    graph = buffer.table(graph_fields)
    outermost.point(7, graph.position)
    return buffer, graph


def nodes_of_one_name(count: int, name: bytes) -> bytes:
    """A graph of nodes that all have one operator, whose name stands in the file once."""
    buffer, graph = model([2])
    nodes = buffer.vector(count)
    graph.point(2, nodes.position)
    written = []
    for number in range(count):
        node = buffer.table([5])
        nodes.point(number, node.position)
        written.append(node)
    text = buffer.text(name)
    for node in written:
        node.point(5, text)
    return bytes(buffer.data)


def one_node_many_times(count: int) -> bytes:
    """A graph whose list of nodes names one node again and again."""
    buffer, graph = model([2])
    nodes = buffer.vector(count)
    graph.point(2, nodes.position)
    node = buffer.table([5])
    for number in range(count):
        nodes.point(number, node.position)
    node.point(5, buffer.text(b"Relu"))
    return bytes(buffer.data)


def graphs_in_graphs(depth: int, width: int) -> bytes:
    """Graphs whose nodes all hold the next graph, each of which stands in the file once."""
    buffer, graph = model([2])
    for level in range(depth):
        nodes = buffer.vector(width)
        graph.point(2, nodes.position)
        node = buffer.table([5, 10] if level + 1 < depth else [5])
        for number in range(width):
            nodes.point(number, node.position)
        if level + 1 < depth:
            attributes = buffer.vector(1)
            node.point(10, attributes.position)
            attribute = buffer.table([7])
            attributes.point(0, attribute.position)
            node.point(5, buffer.text(b"If"))
            graph = buffer.table([2])
            attribute.point(7, graph.position)
        else:
            node.point(5, buffer.text(b"Relu"))
    return bytes(buffer.data)


def one_tensor(dims: Sequence[int], size: int, offset: int | None = None) -> bytes:
    """A graph with one initializer."""
    buffer, graph = model([0])
    tensors = buffer.vector(1)
    graph.point(0, tensors.position)
    tensor = buffer.table([2, 4], {} if offset is None else {6: offset})
    tensors.point(0, tensor.position)
    tensor.point(2, buffer.numbers(dims))
    tensor.point(4, buffer.contents(size))
    return bytes(buffer.data)
