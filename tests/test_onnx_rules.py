"""The walk before the runtime: honest files pass, its work is bounded, and bytes cannot hide."""

import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import onnx_models
from support.protobuf_by_hand import function, functions, model

from wmx import OwnerKey, Watermark
from wmx._internal.protobuf import BYTES, VARINT, numbers, read_message, text
from wmx._internal.work import BYTES_PER_STEP, MalformedError, Work
from wmx.errors import CannotRunError
from wmx.suspect.policy.onnx_rules import require_harmless

SAMPLES = sorted(Path(onnx.__file__).parent.glob("backend/test/data/**/*.onnx"))


def test_the_files_that_come_with_onnx_pass() -> None:
    assert len(SAMPLES) > 100
    for path in SAMPLES:
        require_harmless(path.read_bytes(), path.name)


def test_a_byte_changed_anywhere_is_no_crash() -> None:
    watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=2, n=1)
    model = onnx_models.linear(watermark, seed=0)
    rng = np.random.default_rng(0)
    for position in range(len(model)):
        changed = bytearray(model)
        changed[position] ^= int(rng.integers(1, 256))
        with suppress(CannotRunError):
            require_harmless(bytes(changed), "x")


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), st.booleans())
def test_numbers_are_those_that_onnx_writes(values: list[int], packed: bool) -> None:
    if packed:
        data = onnx.TensorProto(int64_data=values).SerializeToString()
        wanted, number = {7: VARINT}, 7
    else:
        data = onnx.TensorProto(dims=values).SerializeToString()
        wanted, number = {1: VARINT}, 1
    fields = read_message(memoryview(data), wanted, frozenset(), Work(1000))
    assert numbers(fields.get(number, []), Work(1000)) == values


def test_the_work_is_bounded() -> None:
    data = memoryview(b"\x08\x01" * 100)
    read_message(data, {}, frozenset(), Work(100))
    with pytest.raises(MalformedError, match="more work than any honest file"):
        read_message(data, {}, frozenset(), Work(99))
    with pytest.raises(MalformedError, match="more work than any honest file"):
        numbers([memoryview(b"\x01" * 100)], Work(99))


def test_what_may_stand_once_stands_once() -> None:
    twice = memoryview(b"\x0a\x01a\x0a\x01b")
    assert len(read_message(twice, {1: BYTES}, frozenset(), Work(9))[1]) == 2
    with pytest.raises(MalformedError, match="occurs twice"):
        read_message(twice, {1: BYTES}, frozenset((1,)), Work(9))


# the work hangs on the size of the file alone


def steps_of(data: bytes) -> int:
    """Return how many lines of Python a walk runs through, which no machine makes more or fewer."""
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return count

    sys.settrace(count)
    try:
        with suppress(CannotRunError):
            require_harmless(data, "x")
    finally:
        sys.settrace(None)
    return lines


@pytest.mark.parametrize(
    ("calls", "apart"), [(1, 1), (3, 1), (3, 5)], ids=["chain", "braid", "wide braid"]
)
def test_functions_that_call_each_other_are_walked_once(calls: int, apart: int) -> None:
    """A chain of 488 kB once took 20 s, and one of twice its size four times as long."""
    short, long = (functions(count, calls, steps=apart) for count in (100, 400))
    few, many = (steps_of(data) for data in (short, long))
    assert few < many < 1.3 * few * len(long) / len(short)


def test_functions_that_call_themselves_or_double_are_refused() -> None:
    loops = {
        "itself": model(b"", function(b"A", [b"A"])),
        "in a ring": model(
            b"", function(b"A", [b"B"]), function(b"B", [b"C"]), function(b"C", [b"A"])
        ),
        "far in": model(
            b"",
            *(function(b"%d" % i, [b"%d" % (i + 1)]) for i in range(50)),
            function(b"50", [b"20"]),
        ),
    }
    for name, data in loops.items():
        with pytest.raises(CannotRunError, match="functions that call themselves"):
            require_harmless(data, name)
    shared = model(
        b"", function(b"D", []), function(b"B", [b"D"]), function(b"A", [b"B", b"B", b"D"])
    )
    require_harmless(shared, "called several times, and in no ring")
    require_harmless(functions(18, 2), "written out: Fibonacci of 18")
    with pytest.raises(CannotRunError, match="200,000 nodes with its functions written out"):
        require_harmless(functions(60, 2), "written out: Fibonacci of 60")


def test_long_texts_are_work_too() -> None:
    words = Work(100)
    assert text([b"a" * 10 * BYTES_PER_STEP], words) == "a" * 640
    assert words.left == 89
    with pytest.raises(MalformedError, match="more work than any honest file"):
        text([b"a" * 100 * BYTES_PER_STEP], words)
