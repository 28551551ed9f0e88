"""Turning outputs that are not numpy arrays into arrays.

Maps, sequences and texts, and numbers of types that numpy does not know.  This runs in the process
of the model: its texts never leave that process, only numbers do.
"""

import ctypes
import hashlib
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import consulted

MAX_CLASSES = 2**16  # keys of a map, and parts of a sequence
MAX_NAMES = 2**16  # of classes that an output may use, over all calls
FIRST_NAME = 10**9  # numbers of classes that have a name; those in digits are below
NUMBER = re.compile(
    r"[-+]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})(e[-+]?[0-9]{1,4})?|nan|[-+]?inf",
    re.IGNORECASE | re.ASCII,
)
IN_FRONT = re.compile(
    rf"\s*(?P<number>{NUMBER.pattern})([^\w.].*)?", re.IGNORECASE | re.ASCII | re.DOTALL
)
BFLOAT16 = "tensor(bfloat16)"
INTEGERS = {  # bits of each, several to a byte, the lowest first; and whether they have a sign
    "tensor(int4)": (4, True),
    "tensor(uint4)": (4, False),
    "tensor(int2)": (2, True),
    "tensor(uint2)": (2, False),
}
FLOATS = {  # bits of the fraction, bias of the exponent
    "tensor(float8e4m3fn)": (3, 7),
    "tensor(float8e4m3fnuz)": (3, 8),
    "tensor(float8e5m2)": (2, 15),
    "tensor(float8e5m2fnuz)": (2, 16),
}
EXPONENTS = "tensor(float8e8m0)"
UNKNOWN_TO_NUMPY = {BFLOAT16, EXPONENTS, *INTEGERS, *FLOATS}
Array: TypeAlias = NDArray[Any] | None
# of an output; a list holds what is no one array, and None stands for what could not be read
Value: TypeAlias = Array | list[Array]
NOTHING = np.empty(0)  # of an output that holds no values


def from_sequence(values: list[Any]) -> Value:
    """Return a sequence as one array, or its parts if they do not fit together.

    Maps from class to score, one for each input (what a ZipMap gives), become scores [n, C];
    ``None`` stands for other maps.  Arrays of one shape are stacked along a new first axis, others
    joined along their last one.
    """
    if not 0 < len(values) <= MAX_CLASSES:
        return None
    if all(isinstance(value, np.ndarray) for value in values):
        try:
            alike = len({value.shape for value in values}) == 1
            return np.stack(values) if alike else np.concatenate(values, axis=-1)
        except ValueError:
            return values
    return _from_maps(values)


def flattened(values: list[Value], most: int) -> tuple[list[Array], list[int], list[int]]:
    """Return the arrays of all outputs, with lists split up.

    Args:
        values: of each output.
        most: maximum number of arrays, but at least one of each output; of longer lists the first
            parts are kept.

    Returns:
        the arrays; how many each output has of them; and the places of the outputs of which parts
        were left out, unless these hold no values.
    """
    each = most // max(1, len(values))
    every = [value if isinstance(value, list) else [value] for value in values]
    parts = [several[:each] for several in every]
    cut = [
        place
        for place, several in enumerate(every)
        if any(part is None or part.size for part in several[each:])
    ]
    return [one for several in parts for one in several], list(map(len, parts)), cut


def gathered(arrays: Sequence[Array], parts: Any, cut: Any = None) -> list[Value] | None:
    """Undo :func:`flattened`.

    Args:
        arrays: of all outputs.
        parts: number of arrays of each output, from an untrusted process; one each if ``None``.
        cut: places of the outputs of which parts were left out, also untrusted; no places if
            ``None``.

    Returns:
        the value of each output, with ``None`` in place of the parts that were left out; ``None``
        if ``parts`` does not fit ``arrays``, or ``cut`` does not fit ``parts``.
    """
    parts = [1] * len(arrays) if parts is None else parts
    if not isinstance(parts, list) or not all(type(count) is int and count > 0 for count in parts):
        return None
    cut = [] if cut is None else cut
    if not isinstance(cut, list) or not all(
        type(place) is int and 0 <= place < len(parts) for place in cut
    ):
        return None
    if sum(parts) != len(arrays):
        return None
    left = iter(arrays)
    several = [list(islice(left, count)) for count in parts]
    for place in set(cut):
        several[place].append(None)
    return [one[0] if len(one) == 1 else one for one in several]


class Texts:
    """Numbers for the texts that an output has given so far.

    An output with more than :data:`MAX_NAMES` names does not name classes, but would fill the
    memory.  From then on it is ignored.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._is_endless = False

    def numbered(self, texts: NDArray[Any]) -> NDArray[np.int64] | NDArray[np.float64] | None:
        """Return the numbers that texts stand for, in their shape; ``None`` if too many.

        Numbers with a point, a sign or an exponent among them, and nothing but numbers, are the
        scores that they spell.  Else texts are names of classes: one of digits is its number, and
        the others count up from :data:`FIRST_NAME`.  So a name is told from every other name and
        from every number, whatever the names are, and keeps its number from call to call.

        Raises:
            LimitError: the current budget is spent.
        """
        if self._is_endless:
            return None
        flat = [str(text) for text in consulted(texts.reshape(-1))]
        if all(map(NUMBER.fullmatch, consulted(flat))) and not all(map(_is_digits, flat)):
            return np.array(list(map(float, consulted(flat))), np.float64).reshape(texts.shape)
        found = np.empty(len(flat), np.int64)
        for place, text in enumerate(consulted(flat)):
            found[place] = self._number(text)
            if len(self._numbers) > MAX_NAMES:
                self._is_endless = True
                self._numbers.clear()
                return None
        return found.reshape(texts.shape)

    def _number(self, text: str) -> int:
        if _is_digits(text):
            return int(text)
        # a name may be as long as a response: only its digest is kept
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return self._numbers.setdefault(digest, FIRST_NAME + len(self._numbers))


def numbers_in_front(texts: NDArray[Any]) -> NDArray[np.int64] | NDArray[np.float64] | None:
    """Return the numbers that texts begin with, as "7 0.93", "21.5%" and " 3" do.

    ``None`` if a text begins with none, or if all texts are only numbers.  What stands behind may
    be a class's name or a score, so texts are read as :class:`Texts` does too.
    """
    flat = [str(text) for text in texts.reshape(-1)]
    if all(map(NUMBER.fullmatch, flat)):
        return None
    found = list(map(IN_FRONT.fullmatch, flat))
    numbers = [match["number"] for match in found if match is not None]
    if len(numbers) < len(flat):
        return None
    if all(map(_is_digits, numbers)):
        return np.array(list(map(int, numbers)), np.int64).reshape(texts.shape)
    return np.array(list(map(float, numbers)), np.float64).reshape(texts.shape)


def to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to the nearest bfloat16, ties to even, and return its bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16 numbers, given by their bits, as float32."""
    numbers: NDArray[np.float32] = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return numbers


def from_ort_value(value: Any) -> NDArray[Any] | None:
    """Return the array of an OrtValue of any numeric type; ``None`` if it is not a tensor."""
    if not value.has_value() or not value.is_tensor():
        return None
    kind = value.data_type()
    if kind not in UNKNOWN_TO_NUMPY:
        array: NDArray[Any] = value.numpy()
        return array
    shape = tuple(value.shape())
    count = int(np.prod(shape))
    bits = 16 if kind == BFLOAT16 else INTEGERS[kind][0] if kind in INTEGERS else 8
    size = -(-count * bits // 8)
    data = np.frombuffer(ctypes.string_at(value.data_ptr(), size) if size else b"", np.uint8)
    numbers: NDArray[Any] = _decoded(kind, data)[:count].reshape(shape)
    return numbers


def _decoded(kind: str, data: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the numbers of one of the types of :data:`UNKNOWN_TO_NUMPY`, from their bytes."""
    if kind == BFLOAT16:
        return from_bfloat16(data.view(np.uint16))
    if kind == EXPONENTS:
        return np.where(data == 255, np.nan, np.exp2(data - 127.0))
    if kind in FLOATS:
        return _float8(kind)[data]
    bits, signed = INTEGERS[kind]
    parts = (data[:, None] >> np.arange(0, 8, bits, dtype=np.uint8)) & (2**bits - 1)
    whole: NDArray[np.int8] = parts.reshape(-1).astype(np.int8)
    if signed:
        whole[whole >= 2 ** (bits - 1)] -= 2**bits
    return whole


def _float8(kind: str) -> NDArray[np.float64]:
    """Return the values of all 256 bytes: arXiv 2209.05433, and 2206.02915 for ``fnuz``."""
    fraction_bits, bias = FLOATS[kind]
    byte = np.arange(256)
    exponent = (byte & 0x7F) >> fraction_bits
    fraction = (byte & (2**fraction_bits - 1)) / 2**fraction_bits
    size = np.where(
        exponent == 0,
        fraction * 2.0 ** (1 - bias),
        (1 + fraction) * np.exp2(exponent.astype(np.float64) - bias),
    )
    if kind.endswith("fnuz)"):
        size[0x80] = np.nan
    elif kind.endswith("fn)"):
        size[[0x7F, 0xFF]] = np.nan
    else:  # as IEEE 754 has it
        size[exponent == 31] = np.where(fraction[exponent == 31] == 0, np.inf, np.nan)
    signed: NDArray[np.float64] = np.where(byte < 0x80, size, -size)
    return signed


def _from_maps(rows: list[Any]) -> NDArray[np.float64] | None:
    """Return scores [n, C], the classes in ascending order, numbers as numbers.

    ``None`` if the rows are no maps to numbers over the same classes.
    """
    if not all(isinstance(row, dict) for row in rows):
        return None
    keys = set(rows[0])
    if not keys or len(keys) > MAX_CLASSES or any(set(row) != keys for row in rows):
        return None
    ordered = sorted(keys, key=_class_order)
    try:
        return np.array([[float(row[key]) for key in ordered] for row in rows], np.float64)
    except (TypeError, ValueError):
        return None


def _class_order(key: Any) -> tuple[bool, int, str]:
    text = str(key)
    return (False, int(text), "") if _is_digits(text.removeprefix("-")) else (True, 0, text)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
