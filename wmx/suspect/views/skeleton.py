"""The graph of an ONNX file without its weights, which stay where they are in the file's bytes.

A graph is rewritten once for each view.  Its weights may be gigabytes, and are the same in all of
them: in the skeleton each is ONNX external data that lies in :data:`THIS_FILE`, at its own place.
"""

from wmx._internal.protobuf import encoded, fields
from wmx._internal.work import Work

THIS_FILE = "wmx-this-file"  # never on a disk: the runtime is given its bytes
LARGE = 1024  # bytes; smaller tensors may be shapes and axes, which whoever reads a graph needs
MAX_STEPS = 10_000_000

GRAPH = 7  # of a ModelProto
INITIALIZER = 5  # of a GraphProto
RAW_DATA, EXTERNAL_DATA, DATA_LOCATION = 9, 13, 14  # of a TensorProto
KEY, VALUE = 1, 2  # of a StringStringEntryProto
EXTERNAL = 1  # TensorProto.DataLocation


def skeleton_of(data: bytes) -> bytes:
    """Return an ONNX file whose large weights lie in :data:`THIS_FILE`.

    Args:
        data: content of an ONNX file that :func:`wmx.suspect.policy.rules.looked_through` accepted.

    Raises:
        MalformedError: it takes more work than any honest file.
    """
    work = Work(MAX_STEPS)
    whole = memoryview(data)
    return b"".join(
        encoded(GRAPH, _graph(field.value, field.start, work))
        if field.number == GRAPH
        else field.raw
        for field in fields(whole, work)
    )


def _graph(view: memoryview, start: int, work: Work) -> bytes:
    return b"".join(
        encoded(INITIALIZER, _tensor(field.value, start + field.start, work))
        if field.number == INITIALIZER
        else field.raw
        for field in fields(view, work)
    )


def _tensor(view: memoryview, start: int, work: Work) -> bytes:
    """Return a tensor without its data, if these are many; it lies at ``start`` in the file."""
    parts = list(fields(view, work))
    raw = [part for part in parts if part.number == RAW_DATA]
    if len(raw) != 1 or len(raw[0].value) < LARGE:
        return bytes(view)
    place = {"location": THIS_FILE, "offset": start + raw[0].start, "length": len(raw[0].value)}
    entries = b"".join(
        encoded(
            EXTERNAL_DATA,
            encoded(KEY, key.encode()) + encoded(VALUE, str(value).encode()),
        )
        for key, value in place.items()
    )
    kept = b"".join(part.raw for part in parts if part.number not in (RAW_DATA, DATA_LOCATION))
    return kept + entries + encoded(DATA_LOCATION, EXTERNAL)
