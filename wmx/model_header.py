"""What an ONNX file says of itself: operator sets and producer, read without any library.

Only the outermost fields of the protobuf message are looked at; the graph is skipped by its length.
What stands here is the file's own word and decides nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

PRODUCER_NAME, PRODUCER_VERSION, OPSET_IMPORT = 2, 3, 8  # fields of ModelProto
OPSET_DOMAIN, OPSET_VERSION = 1, 2  # fields of OperatorSetIdProto
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
MAX_TEXT = 200
MAX_OPSETS = 32


@dataclass(frozen=True)
class ModelHeader:
    """The file's own words.

    Attributes:
        opsets: domain and version of each operator set, e.g. ``"ai.onnx 17"``.
        producer: what wrote the file, with its version.
    """

    opsets: tuple[str, ...]
    producer: str


def read_header(data: bytes) -> ModelHeader:
    """Read the header of an ONNX file; what is damaged is left out."""
    name, release = "", ""
    opsets: list[str] = []
    for field, value in _fields(data):
        if isinstance(value, memoryview):
            if field == PRODUCER_NAME:
                name = _text(value)
            elif field == PRODUCER_VERSION:
                release = _text(value)
            elif field == OPSET_IMPORT and len(opsets) < MAX_OPSETS:
                opsets.append(_opset(value))
    return ModelHeader(tuple(opsets), f"{name} {release}".strip())


def _opset(message: memoryview) -> str:
    domain, version = "", 0
    for field, value in _fields(message):
        if field == OPSET_DOMAIN and isinstance(value, memoryview):
            domain = _text(value)
        elif field == OPSET_VERSION and isinstance(value, int):
            version = value
    return f"{domain or 'ai.onnx'} {version}"


def _fields(message: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field, up to the first that is damaged."""
    view = memoryview(message)
    position = 0
    while position < len(view):
        tag, position = _varint(view, position)
        kind = tag & 7
        if kind == VARINT:
            value, position = _varint(view, position)
            yield tag >> 3, value
            continue
        if kind == BYTES:
            size, position = _varint(view, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            return
        if position + size > len(view):
            return
        yield tag >> 3, view[position : position + size]
        position += size


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    """Return the number at ``position`` and the position behind it; past the end if damaged."""
    value = 0
    for shift, byte in enumerate(view[position : position + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position + shift + 1
    return 0, len(view)


def _text(value: memoryview) -> str:
    return bytes(value[:MAX_TEXT]).decode("utf-8", errors="replace")
