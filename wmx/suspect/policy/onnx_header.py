"""Reads the header of an ONNX file (operator sets, producer) in pure Python, with bounded work.

Only the outermost fields of the protobuf message are parsed; the graph is skipped by its length.
"""

from typing import Any

from wmx._internal.protobuf import BYTES, VARINT, read_message, text
from wmx._internal.work import MalformedError, Work
from wmx.suspect.policy.model_header import MAX_OPSETS, MAX_TEXT, NO_HEADER, ModelHeader

PRODUCER_NAME, PRODUCER_VERSION, OPSET_IMPORT = 2, 3, 8  # fields of ModelProto
OPSET_DOMAIN, OPSET_VERSION = 1, 2  # fields of OperatorSetIdProto
MAX_STEPS = 100_000  # of :class:`wmx._internal.work.Work`


def read_header(data: bytes) -> ModelHeader:
    """Read the header of an ONNX file; that of a damaged file is empty."""
    work = Work(MAX_STEPS)
    texts = {PRODUCER_NAME: BYTES, PRODUCER_VERSION: BYTES}
    try:
        model = read_message(
            memoryview(data), {**texts, OPSET_IMPORT: BYTES}, frozenset(texts), work
        )
        opsets = [_opset(opset, work) for opset in model.get(OPSET_IMPORT, [])[:MAX_OPSETS]]
        words = [_text(model.get(field, []), work) for field in texts]
    except MalformedError:
        return NO_HEADER
    return ModelHeader(tuple(opsets), " ".join(word for word in words if word))


def _opset(message: memoryview, work: Work) -> str:
    fields = {OPSET_DOMAIN: BYTES, OPSET_VERSION: VARINT}
    opset = read_message(message, fields, frozenset(fields), work)
    domain = _text(opset.get(OPSET_DOMAIN, []), work) or "ai.onnx"
    return f"{domain} {opset.get(OPSET_VERSION, [0])[0]}"


def _text(values: list[Any], work: Work) -> str:
    return text([value[:MAX_TEXT] for value in values], work)
