"""ONNX files written field by field: onnx would take as long to write them as wmx once to read."""

from collections.abc import Sequence


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


# the operator sets of ONNX, version 17, and of the model's own functions
SETS = field(9, b"\x10\x11") + field(9, field(1, b"own") + b"\x10\x01")


def node(operator: bytes, domain: bytes = b"", *attributes: bytes) -> bytes:
    words = field(4, operator) + (field(7, domain) if domain else b"")
    return field(1, words + b"".join(field(5, attribute) for attribute in attributes))


def model(graph: bytes, *functions: bytes) -> bytes:
    sets = field(8, b"\x10\x11") + (field(8, field(1, b"own") + b"\x10\x01") if functions else b"")
    return b"\x08\x08" + field(7, graph) + sets + b"".join(field(25, one) for one in functions)


def function(name: bytes, calls: Sequence[bytes]) -> bytes:
    nodes = b"".join(field(7, field(4, call) + field(7, b"own")) for call in calls)
    return field(1, name) + nodes + SETS + field(10, b"own")


def functions(count: int, calls: int, *, steps: int = 1) -> bytes:
    """Functions that call some of those before them, a certain number of steps apart."""
    first = steps * calls
    made = [
        function(b"F%d" % number, [b"F%d" % (number - steps * (c + 1)) for c in range(calls)])
        for number in range(first, count)
    ]
    ends = [function(b"F%d" % number, []) for number in range(first)]
    return model(node(b"F%d" % (count - 1), b"own"), *ends, *made)
