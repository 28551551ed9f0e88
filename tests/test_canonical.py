"""Canonical JSON: the published vectors of RFC 8785, and what wmx refuses beyond it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmx._internal.nesting import MAX_DEPTH
from wmx.errors import IntegrityError
from wmx.protocol.jcs import dumps, loads

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_sorting_as_in_section_3_2_3() -> None:
    """Names are sorted by UTF-16 code units, not by code points or bytes."""
    document = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = list(json.loads(dumps(document)).values())
    assert order == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_and_literals_as_in_section_3_2_2() -> None:
    document = {"string": '\u20ac$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
    assert (
        dumps(document)
        == (
            '{"literals":[null,true,false],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    try:
        data = dumps(value)
    except ValueError:  # text that is no Unicode, such as a lone surrogate
        assert "\\ud" in json.dumps(value)
        return
    assert loads(data, "it") == value


@pytest.mark.parametrize("value", [0.5, 1.0, [1, {"a": float("nan")}], 2**53, -(2**53)])
def test_floats_and_large_integers_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        dumps(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b"{",
        b"",
    ],
)
def test_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        loads(data, "it")


def called_from(depth: int, data: bytes) -> Any:
    return loads(data, "it") if depth == 0 else called_from(depth - 1, data)


@pytest.mark.parametrize("calls", [0, 200, 600])
@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_how_deeply_a_file_may_nest_hangs_on_the_file_alone(
    calls: int, begin: bytes, end: bytes
) -> None:
    deepest = begin * MAX_DEPTH + b"1" + end * MAX_DEPTH
    assert dumps(called_from(calls, deepest)) == deepest
    for more in (1, 50, 10_000):
        depth = MAX_DEPTH + more
        with pytest.raises(IntegrityError, match="deeper than 64"):
            called_from(calls, begin * depth + b"1" + end * depth)


def test_nothing_is_written_that_no_reader_takes() -> None:
    value: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert loads(dumps(value), "it") == value
    with pytest.raises(ValueError, match="deeper than 64"):
        dumps([value])


def test_brackets_in_texts_nest_nothing() -> None:
    assert loads(b'["' + b"[{" * 100 + b'"]', "it") == ["[{" * 100]
