"""What an ONNX file says of itself, and that no bytes break the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import onnx_models

from wmx import OwnerKey, Watermark
from wmx.suspect.policy.onnx_header import read_header

MARK = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10, n=3)
MODEL = onnx_models.linear(MARK, seed=1)


def with_producer(name: str, version: str) -> bytes:
    import onnx

    proto = onnx.load_from_string(MODEL)
    proto.producer_name, proto.producer_version = name, version
    proto.opset_import.add(domain="ai.onnx.ml", version=3)
    return proto.SerializeToString()


def test_opsets_and_producer() -> None:
    header = read_header(with_producer("pytorch", "2.13.0"))
    assert header.producer == "pytorch 2.13.0"
    assert header.opsets == ("ai.onnx 17", "ai.onnx.ml 3")


def test_a_long_or_foreign_text_is_cut() -> None:
    assert len(read_header(with_producer("x" * 5000, "")).producer) == 200
    assert read_header(b"\x12\x02\xff\xfe").producer == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x08", b"\x12\x05ab", b"\xff" * 30, b"\x0b\x0c", b"\x12\xff\xff\xff\xff\x7f"),
        *(b"\x12\x01a\x12\x01b", b"\x12\x01a\x10\x01", b"\x12\x01a" + b"\x08\x01" * 100_000),
    ],
)
def test_damaged_files_say_nothing(data: bytes) -> None:
    header = read_header(data)
    assert header.producer == ""
    assert header.opsets == ()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    read_header(data)


def test_a_model_cut_off_anywhere_is_read_to_an_end() -> None:
    for length in range(0, len(MODEL), 37):
        read_header(MODEL[:length])
