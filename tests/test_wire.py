"""Messages between the processes come back as they were sent, and nothing else is a message."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from wmx.suspect.sandbox import wire
from wmx.suspect.sandbox.wire import DTYPES, PREFIX, Message, WireError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ARRAYS = st.none() | npst.arrays(
    dtype=st.sampled_from(sorted(DTYPES)), shape=npst.array_shapes(min_dims=0, min_side=0)
)


@given(st.text(max_size=10), st.dictionaries(st.text(max_size=5), JSON), st.lists(ARRAYS))
def test_what_is_sent_is_received(kind: str, fields: dict[str, object], arrays: list) -> None:  # type: ignore[type-arg]
    stream = io.BytesIO()
    wire.write(stream, Message(kind, fields, tuple(arrays)))
    wire.write(stream, Message("next"))
    stream.seek(0)
    found = wire.read(stream, 2**20)
    assert found is not None
    assert (found.kind, found.fields) == (kind, fields)
    for sent, received in zip(arrays, found.arrays, strict=True):
        if sent is None:
            assert received is None
        else:
            assert received is not None
            assert (received.dtype, received.shape) == (sent.dtype, sent.shape)
            assert received.tobytes() == sent.tobytes()  # also what is not a number
    assert wire.read(stream, 2**20) == Message("next")
    assert wire.read(stream, 2**20) is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_other_bytes_are_an_error(header: bytes, body: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(header, body)


def test_every_cut_is_noticed() -> None:
    stream = io.BytesIO()
    wire.write(stream, Message("run", {"a": 1}, (np.arange(6.0),)))
    whole = stream.getvalue()
    for size in range(1, len(whole)):
        with pytest.raises(WireError):
            wire.read(io.BytesIO(whole[:size]), 2**20)


@pytest.mark.parametrize(
    ("arrays", "body", "message"),
    [
        ([["float32", [2]]], bytes(7), "longer than the body"),
        ([["float32", [2]]], bytes(9), "belong to no array"),
        ([["float32", [-1]]], b"", "absurd axis"),
        ([["float32", [True]]], bytes(4), "absurd axis"),
        ([["float32", [1.0]]], bytes(4), "absurd axis"),
        ([["uint8", [2**40]]], b"", "absurd axis"),
        ([["uint8", [0, 2**39]]], b"", "absurd axes"),
        ([["float32", [0, 2**31, 2**31, 2**31]]], b"", "absurd axes"),
        ([["uint8", [2**39, 2**39]]], b"", "longer than the body"),
        ([["uint8", [1] * 17]], bytes(1), "unknown rank"),
        ([["object", [1]]], bytes(8), "unknown dtype"),
        ([["O", [1]]], bytes(8), "unknown dtype"),
        ([[["uint8"], [1]]], bytes(1), "unknown dtype"),
        ([["uint8"]], bytes(1), "without dtype and shape"),
        (["uint8"], bytes(1), "without dtype and shape"),
        ([["bool", [1]]], b"\x02", "neither 0 nor 1"),
        ([None] * 65, b"", "more than 64"),
    ],
)
def test_arrays_that_cannot_be(arrays: object, body: bytes, message: str) -> None:
    header = json.dumps({"kind": "answers", "fields": {}, "arrays": arrays}).encode()
    with pytest.raises(WireError, match=message):
        wire.decode(header, body)


def test_fields_that_nest_without_need() -> None:
    for depth, is_read in ((61, True), (62, False)):  # inside the list, the fields and the header
        fields = b'{"a":[' + b"[" * depth + b"]" * depth + b"]}"
        header = b'{"kind":"answers","fields":' + fields + b',"arrays":[]}'
        if is_read:
            assert wire.decode(header, b"").kind == "answers"
            continue
        with pytest.raises(WireError, match="nests too deeply"):
            wire.decode(header, b"")


def test_no_memory_is_taken_for_lengths_that_are_not_allowed() -> None:
    with pytest.raises(WireError, match="too long"):
        wire.read(io.BytesIO(PREFIX.pack(2, 2**62) + b"{}"), 2**20)
