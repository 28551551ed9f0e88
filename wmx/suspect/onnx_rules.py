"""What a model file may hold: looked through before the runtime sees a byte of it.

A pure-Python walk over the protobuf of onnx.proto, bounded in work and depth.  Weights kept
elsewhere than beside the file, operators that only a foreign library knows, and sizes that no file
can mean are refused here; what only shows when the model runs (endless loops, tensors that grow) is
what the limits of :mod:`wmx.sandbox` are for.
"""

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from wmx.errors import CannotRunError
from wmx.printable import printable
from wmx.protobuf import (
    BYTES,
    VARINT,
    Budget,
    Fields,
    MalformedError,
    numbers,
    read_message,
    text,
)
from wmx.suspect.container import EXPORT_HINT
from wmx.suspect.external_data import ONE_FILE_HINT, External, Refused

MAX_FIELDS = 10_000_000
MAX_NODES = 200_000  # after the model's own functions are written out
MAX_TENSORS = 200_000
MAX_DEPTH = 16  # graphs within graphs
MAX_PORTS = 64
MAX_NAME = 256
MAX_RANK = 16
MAX_AXIS = 2**31
ELEMENTS_PER_BYTE = 8  # more than the smallest element type packs
INSIDE, EXTERNAL = 0, 1  # TensorProto.DataLocation
LOCATION_KEY = b"location"  # without it there is no external data
MAX_EXTERNAL_FILES = 1000

STANDARD_DOMAINS = frozenset(
    (
        *("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"),
        *("com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"),
    )
)
# operators of those domains that load a file or call out of the runtime
FORBIDDEN_OPERATORS = frozenset(("EPContext", "PythonOp", "PythonOpGrad", "ATen", "Snpe"))


class Schema(NamedTuple):
    """The fields of a message that the walk reads, with their wire types."""

    wanted: dict[int, int]
    once: frozenset[int]


def _schema(wanted: dict[int, int], *, once: tuple[int, ...] = ()) -> Schema:
    return Schema(wanted, frozenset(once))


MODEL = _schema({7: BYTES, 25: BYTES}, once=(7,))
GRAPH = _schema({1: BYTES, 5: BYTES, 11: BYTES, 12: BYTES, 15: BYTES})
NODE = _schema({4: BYTES, 5: BYTES, 7: BYTES, 8: BYTES}, once=(4, 7, 8))
ATTRIBUTE = _schema(
    {5: BYTES, 6: BYTES, 10: BYTES, 11: BYTES, 22: BYTES, 23: BYTES}, once=(5, 6, 22)
)
TENSOR = _schema({1: VARINT, 2: VARINT, 8: BYTES, 9: BYTES, 13: BYTES, 14: VARINT}, once=(2, 8, 9))
SPARSE_TENSOR = _schema({1: BYTES, 2: BYTES, 3: VARINT}, once=(1, 2))
ENTRY = _schema({1: BYTES, 2: BYTES}, once=(1, 2))
VALUE_INFO = _schema({1: BYTES}, once=(1,))
FUNCTION = _schema({1: BYTES, 7: BYTES, 10: BYTES, 11: BYTES, 13: BYTES}, once=(1, 10, 13))

Operator = tuple[str, str, str]  # domain, name, overload


def require_harmless(data: bytes, name: str, external: Mapping[str, int] | None = None) -> None:
    """Refuse a model that reaches beyond its files, or beyond what a file can mean.

    Args:
        data: the file.
        name: what errors call it.
        external: sizes in bytes of the files beside it that may hold its weights, by name.

    Raises:
        CannotRunError: says which rule it breaks.
    """
    _walk(data, name, external or {})


def external_files(data: bytes, name: str) -> list[str]:
    """Return the names of the files beside a model that hold its weights.

    Raises:
        CannotRunError: as :func:`require_harmless`; what depends on the files is not looked at.
    """
    if LOCATION_KEY not in data:  # of every such tensor: most models need no look here
        return []
    return sorted(_walk(data, name, None).files)


def _walk(data: bytes, name: str, external: Mapping[str, int] | None) -> "_Walk":
    walk = _Walk(external)
    try:
        walk.model(memoryview(data))
    except MalformedError as error:
        raise CannotRunError(
            f"{name} is a damaged ONNX file, cut off or changed on its way: {error}",
            hint="copy or export it again, and compare its SHA-256",
        ) from None
    except Refused as refused:
        raise refused.about(name) from None
    return walk


class _Walk:
    """One look through a file, with what was counted on the way.

    Attributes:
        files: that hold weights.
    """

    def __init__(self, external: Mapping[str, int] | None) -> None:
        self.files: set[str] = set()
        self._external = external
        self._budget = Budget(MAX_FIELDS)
        self._nodes = 0
        self._tensors = 0
        self._calls: Counter[Operator] = Counter()  # of the graph or function being read

    def model(self, view: memoryview) -> None:
        fields = self._read(view, MODEL)
        if 7 not in fields:
            raise MalformedError("it holds no graph")
        functions: dict[Operator, Counter[Operator]] = {}
        for function in fields.get(25, []):
            operator, calls = self._function(function)
            if operator in functions:
                raise MalformedError(f"the function {printable(operator[1])} stands twice")
            functions[operator] = calls
        self._calls = Counter()
        self._graph(fields[7][0], depth=1, ports=True)
        for calls in (self._calls, *functions.values()):
            for operator in calls:
                require_known(operator, functions)
        _require_bounded(self._calls, functions)

    def _function(self, view: memoryview) -> tuple[Operator, Counter[Operator]]:
        fields = self._read(view, FUNCTION)
        self._calls = Counter()
        for node in fields.get(7, []):
            self._node(node, depth=1)
        for attribute in fields.get(11, []):
            self._attribute(attribute, depth=1)
        operator = (_domain(fields.get(10, [])), text(fields.get(1, [])), text(fields.get(13, [])))
        return operator, self._calls

    def _graph(self, view: memoryview, depth: int, *, ports: bool = False) -> None:
        if depth > MAX_DEPTH:
            raise too_large(f"nests graphs deeper than {MAX_DEPTH}")
        fields = self._read(view, GRAPH)
        for node in fields.get(1, []):
            self._node(node, depth)
        constants = {self._tensor(tensor) for tensor in fields.get(5, [])}
        if ports:
            self._ports(fields.get(11, []), "inputs", constants)
            self._ports(fields.get(12, []), "outputs", set())
        for sparse in fields.get(15, []):
            self._sparse_tensor(sparse)

    def _ports(self, values: list[memoryview], role: str, constants: set[str]) -> None:
        """Look at inputs or outputs; files before IR version 4 list constants as inputs too."""
        names = {text(self._read(value, VALUE_INFO).get(1, [])) for value in values} - constants
        if len(names) > MAX_PORTS:
            raise too_large(f"has {len(names)} {role}, expected at most {MAX_PORTS}")
        for name in names:
            if len(name) > MAX_NAME or not name.isprintable():
                raise Refused(
                    f"has {role} with unprintable or endless names: {printable(name, 40)!r}",
                    "rename them, e.g. with onnx.helper, and export it again",
                )

    def _node(self, view: memoryview, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise too_large(f"has more than {MAX_NODES:,} nodes")
        fields = self._read(view, NODE)
        operator = (_domain(fields.get(7, [])), text(fields.get(4, [])), text(fields.get(8, [])))
        self._calls[operator] += 1
        for attribute in fields.get(5, []):
            self._attribute(attribute, depth)

    def _attribute(self, view: memoryview, depth: int) -> None:
        fields = self._read(view, ATTRIBUTE)
        for tensor in fields.get(5, []) + fields.get(10, []):
            self._tensor(tensor)
        for graph in fields.get(6, []) + fields.get(11, []):
            self._graph(graph, depth + 1)
        for sparse in fields.get(22, []) + fields.get(23, []):
            self._sparse_tensor(sparse)

    def _tensor(self, view: memoryview) -> str:
        """Look at a tensor and return its name."""
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise too_large(f"has more than {MAX_TENSORS:,} tensors")
        fields = self._read(view, TENSOR)
        name = text(fields.get(8, []))
        shown = repr(printable(name, 60))
        size: int | None = len(view)
        kinds = fields.get(14, [])
        if any(kind not in (INSIDE, EXTERNAL) for kind in kinds):  # C++ keeps the lower 32 bits
            raise MalformedError(f"a tensor {shown} lies at a place of unknown kind")
        if 13 in fields or EXTERNAL in kinds:
            size = self._external_bytes(fields.get(13, []), shown)
        dims = self._dims(fields, shown)
        if size is not None and prod(dims) > ELEMENTS_PER_BYTE * size:
            raise too_large(f"has a tensor {shown} of {prod(dims):,} elements in {size:,} bytes")
        return name

    def _external_bytes(self, views: list[memoryview], tensor: str) -> int | None:
        """Return how many bytes of another file a tensor has; ``None`` while none are known."""
        entries = [self._read(view, ENTRY) for view in views]
        pairs = [(text(entry.get(1, [])), text(entry.get(2, []))) for entry in entries]
        place = External.of(pairs, tensor)
        self.files.add(place.file)
        if len(self.files) > MAX_EXTERNAL_FILES:
            raise too_large(f"keeps its weights in more than {MAX_EXTERNAL_FILES:,} files")
        if self._external is None:
            return None
        if place.file not in self._external:
            raise Refused(
                f"keeps its weights in another file ({place.file!r}), which was not given",
                ONE_FILE_HINT,
            )
        return place.bytes_in(self._external[place.file], tensor)

    def _sparse_tensor(self, view: memoryview) -> None:
        fields = self._read(view, SPARSE_TENSOR)
        if prod(self._dims(Fields({1: fields.get(3, [])}), "'sparse'")) > MAX_AXIS:
            raise too_large(f"has a sparse tensor of more than {MAX_AXIS:,} elements")
        for tensor in fields.get(1, []) + fields.get(2, []):
            self._tensor(tensor)

    def _dims(self, fields: Fields, name: str) -> list[int]:
        dims = numbers(fields.get(1, []), self._budget)
        if len(dims) > MAX_RANK or any(not 0 <= dim <= MAX_AXIS for dim in dims):
            raise too_large(f"has a tensor {name} with absurd axes {dims[:MAX_RANK]}")
        return dims

    def _read(self, view: memoryview, schema: Schema) -> Fields:
        return read_message(view, schema.wanted, schema.once, self._budget)


def _domain(values: list[memoryview]) -> str:
    domain = text(values)
    return "" if domain == "ai.onnx" else domain


def require_known(operator: Operator, functions: dict[Operator, Counter[Operator]]) -> None:
    domain, name, _ = operator
    if name in FORBIDDEN_OPERATORS:  # even as a function's name: the runtime prefers its own
        raise Refused(
            f"uses the operator {name}, which loads or calls what lies outside the file",
            EXPORT_HINT,
        )
    if operator in functions:
        return
    if domain not in STANDARD_DOMAINS:
        raise Refused(
            f"uses the operator {printable(name, 60)} of the domain {printable(domain, 60)!r}, "
            "which only a library of custom operators knows; wmx loads none",
            "export it with standard operators",
        )


def _require_bounded(main: Counter[Operator], functions: dict[Operator, Counter[Operator]]) -> None:
    """Refuse functions that call themselves, or grow beyond the limit when written out."""
    sizes: dict[Operator, int] = {}
    under_way: set[Operator] = set()
    pending = list(functions)
    while pending:
        operator = pending[-1]
        if operator in sizes:
            pending.pop()
            continue
        missing = [called for called in functions[operator] if called in functions.keys() - sizes]
        if missing:
            if operator in under_way or operator in missing:
                raise Refused("has functions that call themselves", EXPORT_HINT)
            under_way.add(operator)
            pending += missing
        else:
            sizes[operator] = _written_out(functions[operator], sizes)
            under_way.discard(operator)
            pending.pop()
    if _written_out(main, sizes) > MAX_NODES:
        raise too_large(f"has more than {MAX_NODES:,} nodes with its functions written out")


def _written_out(calls: Counter[Operator], sizes: dict[Operator, int]) -> int:
    total = sum(count * sizes.get(called, 1) for called, count in calls.items())
    return min(total, MAX_NODES + 1)  # it could double with every function


def too_large(what: str) -> Refused:
    return Refused(what, "no honest export needs that; the limits are in docs/security.md")
