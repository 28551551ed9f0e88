"""What an ONNX file says of itself: operator sets and producer.

It is the file's own word and decides nothing.
"""

from dataclasses import dataclass

MAX_TEXT = 200  # characters of a domain, a producer's name or its version
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


NO_HEADER = ModelHeader((), "")
