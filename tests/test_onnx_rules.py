"""The walk before the runtime: honest files pass, its work is bounded, and bytes cannot hide."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx_models
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmx import CannotRunError, OwnerKey, Watermark
from wmx.protobuf import BYTES, VARINT, Budget, MalformedError, numbers, read_message
from wmx.suspect.onnx_rules import require_harmless

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
    fields = read_message(memoryview(data), wanted, frozenset(), Budget(1000))
    assert numbers(fields.get(number, []), Budget(1000)) == values


def test_the_work_is_bounded() -> None:
    data = memoryview(b"\x08\x01" * 100)
    read_message(data, {}, frozenset(), Budget(100))
    with pytest.raises(MalformedError, match="more fields than wmx reads"):
        read_message(data, {}, frozenset(), Budget(99))
    with pytest.raises(MalformedError, match="more fields than wmx reads"):
        numbers([memoryview(b"\x01" * 100)], Budget(99))


def test_what_may_stand_once_stands_once() -> None:
    twice = memoryview(b"\x0a\x01a\x0a\x01b")
    assert len(read_message(twice, {1: BYTES}, frozenset(), Budget(9))[1]) == 2
    with pytest.raises(MalformedError, match="stands twice"):
        read_message(twice, {1: BYTES}, frozenset((1,)), Budget(9))
