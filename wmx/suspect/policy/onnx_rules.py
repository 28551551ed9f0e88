"""Rules for ONNX files, checked before onnxruntime reads a byte.

A pure-Python walk over the protobuf of onnx.proto, bounded in work and depth.  An untrusted file is
walked in the process that runs it, never in the one that has the key.  Weights outside the model's
folder, operators of custom libraries, and impossible sizes are refused here; what only shows when
the model runs (endless loops, growing tensors) is stopped by the limits of
:mod:`wmx.suspect.sandbox`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from wmx._internal.protobuf import BYTES, VARINT, Fields, numbers, read_message, text
from wmx._internal.text import printable
from wmx._internal.work import MalformedError, Work
from wmx.errors import CannotRunError
from wmx.suspect.policy.external_data import MAX_EXTERNAL_FILES, ONE_FILE_HINT, External, Refused
from wmx.suspect.policy.file_type import EXPORT_HINT
from wmx.suspect.types import MAX_PORTS, MAX_RANK

MAX_STEPS = 10_000_000  # of :class:`wmx._internal.work.Work`
MAX_NODES = 200_000  # after the model's own functions are written out
MAX_TENSORS = 200_000
MAX_DEPTH = 16  # graphs within graphs
MAX_AXIS = 2**31
ELEMENTS_PER_BYTE = 8  # more than the smallest element type packs
INSIDE, EXTERNAL = 0, 1  # TensorProto.DataLocation

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


@dataclass(frozen=True)
class Place:
    """Where in another file a tensor of a model lies.

    Attributes:
        external: file, offset and length.
        tensor: its name in error messages.
        elements: number of elements.
    """

    external: External
    tensor: str
    elements: int


@dataclass(frozen=True)
class Outline:
    """A model that was checked and breaks no rule, with the files that it needs.

    Attributes:
        name: of the model, for error messages.
        places: of its tensors in other files.
    """

    name: str
    places: tuple[Place, ...]

    @property
    def files(self) -> list[str]:
        """Names of the files beside it that hold its weights, sorted."""
        return sorted({place.external.file for place in self.places})

    def require_weights(self, sizes: Mapping[str, int]) -> None:
        """Refuse files of weights that are not those of the model.

        Args:
            sizes: in bytes, of the files that were given, by name.

        Raises:
            CannotRunError: one is missing, or too short for its tensors.
        """
        try:
            for place in self.places:
                _require_there(place, sizes)
        except Refused as refused:
            raise refused.about(self.name) from None


def require_harmless(data: bytes, name: str) -> Outline:
    """Refuse a model that refers to other files or custom libraries, or has impossible sizes.

    Args:
        data: the file.
        name: of the model, for error messages.

    Returns:
        the other files that it needs.

    Raises:
        CannotRunError: it breaks a rule, which the message names, or is damaged.
    """
    walk = _Walk()
    try:
        walk.model(memoryview(data))
    except MalformedError as error:
        raise CannotRunError(
            f"{name} is a damaged ONNX file, cut off or changed on its way: {error}",
            hint="copy or export it again, and compare its SHA-256",
        ) from None
    except Refused as refused:
        raise refused.about(name) from None
    return Outline(name, tuple(walk.places))


def _require_there(place: Place, sizes: Mapping[str, int]) -> None:
    file = place.external.file
    if file not in sizes:
        raise Refused(
            f"keeps its weights in another file ({file!r}), which was not given", ONE_FILE_HINT
        )
    size = place.external.bytes_in(sizes[file], place.tensor)
    _require_elements(place.tensor, place.elements, size)


def _require_elements(tensor: str, elements: int, size: int) -> None:
    if elements > ELEMENTS_PER_BYTE * size:
        raise too_large(f"has a tensor {tensor} of {elements:,} elements in {size:,} bytes")


class _Walk:
    """One walk through a file, with its counts.

    Attributes:
        places: of tensors in other files.
    """

    def __init__(self) -> None:
        self.places: list[Place] = []
        self._files: set[str] = set()
        self._work = Work(MAX_STEPS)
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
                raise MalformedError(f"the function {printable(operator[1])} occurs twice")
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
        return self._operator(fields, domain=10, name=1, overload=13), self._calls

    def _operator(self, fields: Fields, *, domain: int, name: int, overload: int) -> Operator:
        return (
            known_as(self._text(fields, domain)),
            self._text(fields, name),
            self._text(fields, overload),
        )

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
        names = {self._text(self._read(value, VALUE_INFO), 1) for value in values} - constants
        if len(names) > MAX_PORTS:
            raise too_large(f"has {len(names)} {role}, expected at most {MAX_PORTS}")

    def _node(self, view: memoryview, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise too_large(f"has more than {MAX_NODES:,} nodes")
        fields = self._read(view, NODE)
        self._calls[self._operator(fields, domain=7, name=4, overload=8)] += 1
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
        name = self._text(fields, 8)
        shown = repr(printable(name, 60))
        kinds = fields.get(14, [])
        if any(kind not in (INSIDE, EXTERNAL) for kind in kinds):  # C++ keeps the lower 32 bits
            raise MalformedError(f"a tensor {shown} lies at a place of unknown kind")
        elements = prod(self._dims(fields, shown))
        if 13 in fields or EXTERNAL in kinds:
            self._elsewhere(fields.get(13, []), shown, elements)
        else:
            _require_elements(shown, elements, len(view))
        return name

    def _elsewhere(self, entries: list[memoryview], tensor: str, elements: int) -> None:
        """Note in which file a tensor lies; that it fits in there is for later."""
        fields = [self._read(entry, ENTRY) for entry in entries]
        pairs = [(self._text(entry, 1), self._text(entry, 2)) for entry in fields]
        place = Place(External.of(pairs, tensor), tensor, elements)
        self.places.append(place)
        self._files.add(place.external.file)
        if len(self._files) > MAX_EXTERNAL_FILES:
            raise too_large(f"keeps its weights in more than {MAX_EXTERNAL_FILES:,} files")

    def _sparse_tensor(self, view: memoryview) -> None:
        fields = self._read(view, SPARSE_TENSOR)
        if prod(self._dims(Fields({1: fields.get(3, [])}), "'sparse'")) > MAX_AXIS:
            raise too_large(f"has a sparse tensor of more than {MAX_AXIS:,} elements")
        for tensor in fields.get(1, []) + fields.get(2, []):
            self._tensor(tensor)

    def _dims(self, fields: Fields, name: str) -> list[int]:
        dims = numbers(fields.get(1, []), self._work)
        if len(dims) > MAX_RANK or any(not 0 <= dim <= MAX_AXIS for dim in dims):
            raise too_large(f"has a tensor {name} with absurd axes {dims[:MAX_RANK]}")
        return dims

    def _read(self, view: memoryview, schema: Schema) -> Fields:
        return read_message(view, schema.wanted, schema.once, self._work)

    def _text(self, fields: Fields, number: int) -> str:
        return text(fields.get(number, []), self._work)


def known_as(domain: str) -> str:
    """Return the one spelling of an operator set's domain that has two."""
    return "" if domain == "ai.onnx" else domain


def require_known(operator: Operator, functions: dict[Operator, Counter[Operator]]) -> None:
    """Refuse operators of custom libraries, and those that reach outside the file.

    Args:
        operator: domain, name and overload.
        functions: that the model defines itself.

    Raises:
        Refused: the operator is not allowed.
    """
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
            "which only a library of custom operators has; wmx loads none",
            "export it with standard operators",
        )


def _require_bounded(main: Counter[Operator], functions: dict[Operator, Counter[Operator]]) -> None:
    """Refuse functions that call themselves, or grow beyond the limit when written out.

    Each function is gone through once, after those that it calls.
    """
    sizes: dict[Operator, int] = {}
    for outermost in functions:
        in_progress: dict[Operator, Iterator[Operator]] = {}
        pending: Operator | None = None if outermost in sizes else outermost
        while pending is not None or in_progress:
            if pending is not None:
                if pending in in_progress:
                    raise Refused("has functions that call themselves", EXPORT_HINT)
                in_progress[pending] = iter(functions[pending])
            operator, called = next(reversed(in_progress.items()))
            pending = next((one for one in called if one in functions and one not in sizes), None)
            if pending is None:
                sizes[operator] = _written_out(functions[operator], sizes)
                del in_progress[operator]
    if _written_out(main, sizes) > MAX_NODES:
        raise too_large(f"has more than {MAX_NODES:,} nodes with its functions written out")


def _written_out(calls: Counter[Operator], sizes: dict[Operator, int]) -> int:
    # an empty function takes a step too, and calls of it can be as many as of any other
    total = sum(count * max(1, sizes.get(called, 1)) for called, count in calls.items())
    return min(total, MAX_NODES + 1)  # it could double with every function


def too_large(what: str) -> Refused:
    return Refused(what, "no honest export needs that; the limits are in docs/security.md")
