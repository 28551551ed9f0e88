"""Requests and responses of the Open Inference Protocol v2, in JSON and with binary tensors.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol

Errors about a response are in this module's own words: the server's could repeat the triggers that
it was sent.
"""

import json
from collections.abc import Collection, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import consult, consulted, require_room
from wmx._internal.nesting import is_nested_too_deeply
from wmx._internal.text import printable
from wmx.suspect.types import TensorSpec
from wmx.suspect.values import Array, Texts, from_bfloat16

MAX_PORTS = 64
MAX_RANK = 8
MAX_VALUES = 2**22  # of a JSON document: each takes much more memory than its text
MAX_NAME = 1024
MAX_ELEMENTS = 2**26  # of an output; a response has no more bytes
MAX_TEXTS = 2**20  # of a response: a batch of 32 rows with 32,768 classes each
MAX_TEXT_BYTES = 2**25  # of a response: 32 for each of so many texts
# memory for one value or text, and for one character at most
VALUE_BYTES, TEXT_BYTES, CHARACTER_BYTES = 144, 192, 4
HEADER_LENGTH = "Inference-Header-Content-Length"

DTYPES: dict[str, tuple[str, str]] = {  # datatype: numpy's name, onnxruntime's
    "BOOL": ("bool", "tensor(bool)"),
    **{
        f"{sign}INT{bits}": (f"{sign}int{bits}".lower(), f"tensor({sign}int{bits})".lower())
        for sign in ("U", "")
        for bits in (8, 16, 32, 64)
    },
    "FP16": ("float16", "tensor(float16)"),
    "FP32": ("float32", "tensor(float)"),
    "FP64": ("float64", "tensor(double)"),
}
BFLOAT16 = "BF16"  # of answers; two bytes each
ANSWERS = {**{name: numpy for name, (numpy, _) in DTYPES.items()}, BFLOAT16: "float32"}
SPELLED = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float)}  # in JSON, by numpy's kind
TEXTS = "BYTES"
NAME_OF = {numpy: name for name, (numpy, _) in DTYPES.items()}


class ProtocolError(ValueError):
    """The server's response does not follow the protocol."""


def ports_of(described: Any) -> tuple[TensorSpec, ...]:
    """Read the inputs or outputs in a server's metadata.

    Raises:
        ProtocolError: the metadata are malformed.
    """
    if described is None:
        return ()
    if not isinstance(described, list) or len(described) > MAX_PORTS:
        raise ProtocolError(f"inputs and outputs are not lists of at most {MAX_PORTS}")
    return tuple(_port(one) for one in described)


def request_body(
    inputs: Mapping[str, NDArray[Any]], outputs: list[str], *, binary: bool
) -> tuple[bytes, dict[str, str]]:
    """Return the body of an inference request and its headers.

    Args:
        inputs: by name.
        outputs: names of the wanted outputs; all if empty.
        binary: whether tensors are sent and returned as bytes after the JSON object.
    """
    tensors, after = [], []
    for name, array in inputs.items():
        tensor: dict[str, Any] = {
            "name": name,
            "shape": list(array.shape),
            "datatype": NAME_OF[array.dtype.name],
        }
        if binary:
            data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
            tensor["parameters"] = {"binary_data_size": len(data)}
            after.append(data)
        else:
            tensor["data"] = array.reshape(-1).tolist()
        tensors.append(tensor)
    document: dict[str, Any] = {"inputs": tensors}
    if outputs:
        parameters = {"parameters": {"binary_data": True}} if binary else {}
        document["outputs"] = [{"name": name, **parameters} for name in outputs]
    elif binary:
        document["parameters"] = {"binary_data_output": True}
    header = json.dumps(document, separators=(",", ":")).encode("ascii")
    if not binary:
        return header, {"Content-Type": "application/json"}
    return header + b"".join(after), {
        "Content-Type": "application/octet-stream",
        HEADER_LENGTH: str(len(header)),
    }


def outputs_of(
    body: bytes, header_length: str | None, texts: Mapping[str, Texts], known: Collection[str]
) -> dict[str, Array]:
    """Return the arrays of a response by name; texts become numbers, or ``None`` if too many.

    Args:
        body: of the response.
        header_length: value of the header :data:`HEADER_LENGTH`; ``None`` if there is none.
        texts: the numbers for the texts of each output, kept from call to call.
        known: names that outputs may have; an output with another name is called by its number.

    Raises:
        ProtocolError: it is not an inference response, contradicts itself, or has more than
            :data:`MAX_TEXTS` texts or :data:`MAX_TEXT_BYTES` bytes of them.
        LimitError: the current budget is spent, or has no room for the response.
    """
    cut = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdecimal() and len(header_length) < 12):
            raise ProtocolError(f"{HEADER_LENGTH} is not a number")
        cut = int(header_length)
        if cut > len(body):
            raise ProtocolError(f"{HEADER_LENGTH} is beyond the end of the body")
    document = parsed(body[:cut])
    outputs = document.get("outputs")
    if not isinstance(outputs, list) or len(outputs) > MAX_PORTS:
        raise ProtocolError(f"outputs are not a list of at most {MAX_PORTS}")
    found: dict[str, Array] = {}
    names = set()
    allowance = _TextAllowance()
    for number, output in enumerate(outputs, 1):
        said, datatype, shape = _described(output, number)
        name = said if said in known else f"output {number}"
        if said in names or name in found:
            raise ProtocolError(f"output {number} has the name of an earlier output")
        names.add(said)
        count = prod(shape)
        size = _binary_size(output)
        if datatype == TEXTS:  # before they are taken apart
            allowance.take(count, size or 0)
        if size is None:
            values = _from_json(output.get("data"), datatype, count)
            if datatype == TEXTS:
                allowance.take(0, sum(map(len, consulted(values))))
        else:
            if cut + size > len(body):
                raise ProtocolError("an output is longer than the body")
            values = _from_bytes(body[cut : cut + size], datatype, count)
            cut += size
        if datatype == TEXTS:
            numbered = texts[name].numbered(values)
            found[name] = None if numbered is None else numbered.reshape(shape)
        else:
            found[name] = values.reshape(shape)
    if cut != len(body):
        raise ProtocolError("the body has bytes that belong to no output")
    return found


def parsed(data: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    A duplicate name in an object is refused, since readers differ in which value they take.
    ``NaN`` and ``Infinity``, which JSON does not have but many servers write, are read as floats:
    accepted as scores, and nowhere else.

    Raises:
        ProtocolError: it is not a JSON object, nests too deeply, or has too many values.
        LimitError: the current budget is spent, or has no room for it.
    """
    values = sum(map(data.count, (b",", b"[", b"{")))
    if values > MAX_VALUES:
        raise ProtocolError(f"the JSON has more than {MAX_VALUES:,} values")
    # all of it as a text, and then the texts in it
    require_room(
        VALUE_BYTES * values + 2 * CHARACTER_BYTES * len(data), "what the server says in JSON"
    )
    try:
        document = json.loads(data, object_pairs_hook=_without_doubles)
    except ProtocolError:
        raise
    except (ValueError, RecursionError):  # also an integer of more digits than Python reads
        raise ProtocolError("it is not JSON") from None
    if is_nested_too_deeply(document):
        raise ProtocolError("the JSON nests too deeply")
    if not isinstance(document, dict):
        raise ProtocolError("it is not a JSON object")
    return document


class _TextAllowance:
    """How many texts a response may still have, over all of its outputs."""

    def __init__(self) -> None:
        self._count, self._length = MAX_TEXTS, MAX_TEXT_BYTES

    def take(self, count: int, length: int) -> None:
        """Count more texts; raises as :func:`outputs_of`.

        Args:
            count: number of texts.
            length: of all of them together, bytes.
        """
        self._count -= count
        self._length -= length
        if self._count < 0:
            raise ProtocolError(f"the response has more than {MAX_TEXTS:,} texts")
        if self._length < 0:
            raise ProtocolError(f"the response has more than {MAX_TEXT_BYTES:,} bytes of texts")
        require_room(
            TEXT_BYTES * count + CHARACTER_BYTES * length, "what the server answers in texts"
        )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    consult()
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ProtocolError("a name occurs twice in one JSON object")
    return found


def _port(described: Any) -> TensorSpec:
    if not isinstance(described, dict):
        raise ProtocolError("an input or output is not an object")
    name, datatype, shape = described.get("name"), described.get("datatype"), described.get("shape")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not isinstance(datatype, str):
        raise ProtocolError("an input or output has no valid name and datatype")
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise ProtocolError(f"the shape of {printable(name, 80)!r} is not a list")
    if not all(type(dim) is int for dim in shape):
        raise ProtocolError(
            f"the shape of {printable(name, 80)!r} has values that are not integers"
        )
    dims = tuple(dim if 0 < dim < 2**31 else None for dim in shape)
    _, kind = DTYPES.get(datatype, ("", printable(datatype, 20)))
    return TensorSpec(name, kind, dims)


def _described(output: Any, number: int) -> tuple[str, str, tuple[int, ...]]:
    if not isinstance(output, dict):
        raise ProtocolError(f"output {number} is not an object")
    name, datatype, shape = output.get("name"), output.get("datatype"), output.get("shape")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        raise ProtocolError(f"output {number} has no name")
    if not isinstance(datatype, str) or (datatype != TEXTS and datatype not in ANSWERS):
        raise ProtocolError(f"output {number} has an unknown datatype")
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise ProtocolError(f"output {number} has no shape")
    if not all(type(dim) is int and 0 <= dim < 2**31 for dim in shape):
        raise ProtocolError(f"output {number} has an impossible or too large shape")
    if prod(max(dim, 1) for dim in shape) > MAX_ELEMENTS:  # numpy refuses it beside a 0 too
        raise ProtocolError(f"output {number} has an impossible or too large shape")
    return name, datatype, tuple(shape)


def _binary_size(output: dict[str, Any]) -> int | None:
    parameters = output.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return None
    if type(size) is not int or size < 0 or "data" in output:
        raise ProtocolError("an output has an invalid binary size")
    return size


def _from_json(data: Any, datatype: str, count: int) -> NDArray[Any]:
    """Return an output's elements, each of the JSON type that its datatype requires.

    A number beyond the range of floats becomes infinite; an integer that does not fit is refused.
    """
    if not isinstance(data, list):
        raise ProtocolError("an output has no data")
    dtype = np.dtype(object if datatype == TEXTS else ANSWERS[datatype])
    try:
        values = np.array(data, dtype=object).reshape(-1)
        kinds = (str,) if datatype == TEXTS else SPELLED[dtype.kind]
        if not all(type(value) in kinds for value in consulted(values)):
            raise ProtocolError(f"the data are not {datatype}")
        with np.errstate(over="ignore"):
            values = values.astype(dtype)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise ProtocolError(f"the data are not {datatype}") from None
    if values.size != count:
        raise ProtocolError("an output has another number of values than its shape says")
    return values


def _from_bytes(data: bytes, datatype: str, count: int) -> NDArray[Any]:
    if datatype == TEXTS:
        return _texts(data, count)
    if datatype == BFLOAT16:
        return from_bfloat16(_elements(data, np.dtype("<u2"), count))
    if datatype == "BOOL":
        truths: NDArray[Any] = _elements(data, np.dtype(np.uint8), count) != 0
        return truths
    return _elements(data, np.dtype(ANSWERS[datatype]).newbyteorder("<"), count)


def _elements(data: bytes, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    if len(data) != count * dtype.itemsize:
        raise ProtocolError("an output has another number of bytes than its shape says")
    values: NDArray[Any] = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    return values


def _texts(data: bytes, count: int) -> NDArray[Any]:
    found, at = [], 0
    for _ in consulted(range(count)):
        if at == len(data):
            raise ProtocolError("an output has another number of texts than its shape says")
        length = int.from_bytes(data[at : at + 4], "little")
        if at + 4 + length > len(data):
            raise ProtocolError("a text is longer than the body")
        found.append(data[at + 4 : at + 4 + length].decode("utf-8", "replace"))
        at += 4 + length
    if at != len(data):
        raise ProtocolError("an output has another number of texts than its shape says")
    return np.array(found, dtype=object)
