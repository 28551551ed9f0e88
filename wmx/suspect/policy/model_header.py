"""The operator sets and the producer that an ONNX file states.

They are unverified and nothing depends on them.
"""

from dataclasses import dataclass

MAX_TEXT = 200  # characters of a domain, a producer's name or its version
MAX_OPSETS = 32


@dataclass(frozen=True)
class ModelHeader:
    """Operator sets and producer, as the file states them.

    Attributes:
        opsets: domain and version of each operator set, e.g. ``"ai.onnx 17"``.
        producer: name and version of the program that wrote the file.
    """

    opsets: tuple[str, ...]
    producer: str


NO_HEADER = ModelHeader((), "")
