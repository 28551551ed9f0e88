"""What a server answers in texts: bounded in number, length, time and memory."""

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wmx._internal.budget import Budget, held_to
from wmx.errors import LimitError
from wmx.suspect.endpoint import messages
from wmx.suspect.endpoint.messages import ProtocolError, outputs_of, parsed
from wmx.suspect.values import Texts


def described(shape: list[int], **more: Any) -> dict[str, Any]:
    return {"name": "y", "datatype": "BYTES", "shape": shape, **more}


def answered(*outputs: dict[str, Any], after: bytes = b"") -> dict[str, NDArray[Any]]:
    """Read an answer of these outputs, named by their place, and the bytes after the JSON."""
    named = [output | {"name": f"y{place}"} for place, output in enumerate(outputs)]
    header = json.dumps({"outputs": named}).encode()
    return outputs_of(header + after, str(len(header)), defaultdict(Texts), [])


def in_bytes(texts: list[bytes]) -> tuple[dict[str, Any], bytes]:
    """Return the description of texts after the JSON, and the texts."""
    data = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return described([1, len(texts)], parameters={"binary_data_size": len(data)}), data


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_TEXTS", 10)
    monkeypatch.setattr(messages, "MAX_TEXT_BYTES", 100)


@pytest.mark.usefixtures("few")
def test_as_many_texts_as_are_allowed_are_read() -> None:
    output, data = in_bytes([b"cat", b"dog", b"owl", b"cat", b"fox"])
    in_json = described([5], data=["1", "2", "3", "4", "5"])
    found = answered(output, in_json, after=data)
    assert found["output 1"].shape == (1, 5)
    assert found["output 1"][0, 0] == found["output 1"][0, 3]
    assert found["output 2"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("counts", [(11,), (6, 5)])
def test_more_texts_are_refused_over_all_outputs(counts: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError, match="more than 10 texts"):
        answered(*(described([count], data=["7"] * count) for count in counts))
    outputs, data = zip(*(in_bytes([b""] * count) for count in counts), strict=True)
    with pytest.raises(ProtocolError, match="more than 10 texts"):
        answered(*outputs, after=b"".join(data))


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("lengths", [(101,), (60, 60)])
def test_longer_texts_are_refused_over_all_outputs(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError, match="more than 100 bytes of texts"):
        answered(*(described([1], data=["7" * length]) for length in lengths))
    outputs, data = zip(*(in_bytes([b"7" * length]) for length in lengths), strict=True)
    with pytest.raises(ProtocolError, match="more than 100 bytes of texts"):
        answered(*outputs, after=b"".join(data))


@pytest.mark.parametrize("said", [0, 2, 4, 2**19])
def test_another_number_of_texts_than_the_shape_says(said: int) -> None:
    output, data = in_bytes([b"cat", b"dog", b"owl"])
    with pytest.raises(ProtocolError, match="another number of texts"):
        answered(output | {"shape": [said]}, after=data)


@pytest.mark.parametrize("shape", [[0, 2**31 - 1, 2**31 - 1, 2**31 - 1], [0, 2**30], [2**27]])
@pytest.mark.parametrize("datatype", ["BYTES", "FP32"])
def test_a_shape_beyond_any_array_is_refused_beside_a_zero_too(
    shape: list[int], datatype: str
) -> None:
    with pytest.raises(ProtocolError, match="impossible or too large shape"):
        answered(described(shape, data=[]) | {"datatype": datatype})


def test_an_answer_needs_room_before_it_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_texts", lambda *_: pytest.fail("it was taken apart"))
    output, data = in_bytes([b""] * 2**17)
    budget = Budget(1e6, 1e6, 2**24)
    with held_to(budget), pytest.raises(LimitError, match="what the server answers in texts"):
        answered(output, after=data)


def test_json_needs_room_before_it_is_parsed() -> None:
    with held_to(Budget(1e6, 1e6, 2**24)):
        assert parsed(b'{"outputs": []}') == {"outputs": []}
        with pytest.raises(LimitError, match="what the server says in JSON"):
            parsed(b'{"outputs": [' + b"0," * 2**18 + b"0]}")


class SpentError(Exception):
    """A budget is spent."""


class Short(Budget):
    """A budget that is spent after having been asked so often."""

    def __init__(self, times: int) -> None:
        super().__init__(1e6, 1e6, 2**40)
        self.left = times

    def consult(self) -> None:
        """Count."""
        self.left -= 1
        if self.left < 0:
            raise SpentError


MANY = 2**12


@pytest.mark.parametrize("text", [b"", b"7", b"7.5", b"name"])
def test_time_is_looked_at_while_texts_are_taken_apart(text: bytes) -> None:
    data = (len(text).to_bytes(4, "little") + text) * MANY
    assert len(messages._texts(data, MANY)) == MANY
    with held_to(Short(8)), pytest.raises(SpentError):
        messages._texts(data, MANY)


@pytest.mark.parametrize("text", ["", "7", "7.5", "name"])
def test_time_is_looked_at_while_texts_are_numbered(text: str) -> None:
    texts = np.full(MANY, text, object)
    rounds = MANY // 256
    budget = Short(10 * rounds)
    with held_to(budget):
        assert Texts().numbered(texts) is not None
    assert 10 * rounds - budget.left >= 2 * rounds
    for times in (rounds // 2, rounds + rounds // 2):  # in the first loop, and behind it
        with held_to(Short(times)), pytest.raises(SpentError):
            Texts().numbered(texts)


def test_time_is_looked_at_while_json_is_parsed() -> None:
    data = b'{"outputs": [' + b'{"a": 1},' * MANY + b"{}]}"
    with held_to(Short(MANY // 2)), pytest.raises(SpentError):
        parsed(data)
