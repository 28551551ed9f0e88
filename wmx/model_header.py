"""What an ONNX file says of itself: operator sets and producer, read without any library.

Only the outermost fields of the protobuf message are looked at; the graph is skipped by its length.
What stands here is the file's own word and decides nothing.
"""

from dataclasses import dataclass
from typing import Any

from wmx.protobuf import BYTES, VARINT, Budget, MalformedError, read_message, text

PRODUCER_NAME, PRODUCER_VERSION, OPSET_IMPORT = 2, 3, 8  # fields of ModelProto
OPSET_DOMAIN, OPSET_VERSION = 1, 2  # fields of OperatorSetIdProto
MAX_FIELDS = 100_000
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
    """Read the header of an ONNX file; one that is damaged says nothing."""
    budget = Budget(MAX_FIELDS)
    texts = {PRODUCER_NAME: BYTES, PRODUCER_VERSION: BYTES}
    try:
        model = read_message(
            memoryview(data), {**texts, OPSET_IMPORT: BYTES}, frozenset(texts), budget
        )
        opsets = [_opset(opset, budget) for opset in model.get(OPSET_IMPORT, [])[:MAX_OPSETS]]
    except MalformedError:
        return ModelHeader((), "")
    words = (_text(model.get(field, [])) for field in texts)
    return ModelHeader(tuple(opsets), " ".join(word for word in words if word))


def _opset(message: memoryview, budget: Budget) -> str:
    fields = {OPSET_DOMAIN: BYTES, OPSET_VERSION: VARINT}
    opset = read_message(message, fields, frozenset(fields), budget)
    domain = _text(opset.get(OPSET_DOMAIN, [])) or "ai.onnx"
    return f"{domain} {opset.get(OPSET_VERSION, [0])[0]}"


def _text(values: list[Any]) -> str:
    return text([value[:MAX_TEXT] for value in values])
