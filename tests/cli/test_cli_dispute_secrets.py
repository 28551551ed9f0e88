"""What ``wmx dispute`` tells of secret triggers: whether a mark is there, and no figures."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.disputed_models import Side, marked, network, side

CALL = ("dispute", "stolen.onnx", "--claim", "owner.json", "--claim", "thief.json")
KEYS = ("--key", "owner.pem", "--key", "thief.pem")


@pytest.fixture
def owner(home: Path) -> Side:
    return side(Path(), "owner", 1)


@pytest.fixture
def thief(owner: Side) -> Side:
    made = side(Path(), "thief", 2)
    Path("stolen.onnx").write_bytes(marked(network(1), owner.watermark, made.watermark))
    return made


def original(signer: Side, name: str, model: bytes) -> tuple[str, ...]:
    """Return the options that show a model as one's own."""
    Path(f"{name}.onnx").write_bytes(model)
    signer.record(Path(f"{name}.onnx")).save(f"{name}.release.json")
    return ("--release", f"{name}.release.json", "--original", f"{name}.onnx")


def constant(number: int) -> bytes:
    """Return a classifier that always says one class."""
    proto = onnx.load_from_string(marked(np.zeros((64, 10))))
    for node in proto.graph.node:
        node.output[:] = ["scores_" if one == "y" else one for one in node.output]
    says = onnx.numpy_helper.from_array(np.eye(10, dtype=np.float32)[number], "says")
    proto.graph.initializer.append(says)
    proto.graph.node.append(onnx.helper.make_node("Add", ["scores_", "says"], ["y"]))
    return proto.SerializeToString()


@pytest.mark.slow
def test_originals_that_count_a_label_each_tell_nothing(wmx: Any, owner: Side, thief: Side) -> None:
    shown = [original(thief, f"says{number}", constant(number)) for number in (0, 1, 2)]
    shown.append(original(owner, "mine", marked(network(1), owner.watermark)))
    words = (*CALL, *KEYS, *(word for one in shown for word in one))
    result = wmx(*words, "--json").json
    told = [one["marks"] for party in result["parties"] for one in party["originals"]]
    assert len(told) == 4
    for marks in told:
        for mark in marks.values():
            assert (mark["bits"], mark["hits"], mark["failure"]) == (None, None, None)
    assert [one["owner.json"]["mark"] for one in told] == ["carried", *["lacking"] * 3]
    out = wmx(*words).out
    models = out[out.index("models that the parties signed") : out.index("against")]
    assert "owner.json carried" in models
    assert " bits" not in models


def test_nor_does_a_mark_between_carried_and_lacking(wmx: Any, owner: Side, thief: Side) -> None:
    """A part of the mark: its bits would count the triggers of that part."""
    part = onnx.load_from_string(marked(network(2), owner.watermark, thief.watermark))
    answers = next(one for one in part.graph.initializer if one.name == "answers")
    values = onnx.numpy_helper.to_array(answers).copy()
    values[1 + 26 : 1 + 100] = 0  # 26 of 100 triggers keep their labels
    answers.CopyFrom(onnx.numpy_helper.from_array(values, "answers"))
    words = (*CALL, *KEYS, *original(thief, "part", part.SerializeToString()))
    result = wmx(*words, "--json").json
    (marks,) = [one["marks"] for party in result["parties"] for one in party["originals"]]
    assert marks["owner.json"]["mark"] == "unclear"
    assert marks["owner.json"]["bits"] is None
    assert "shows some bits of the mark of owner.json" in str(result["comparisons"])


def test_a_suspect_without_the_mark_is_told_no_figures(wmx: Any, owner: Side, thief: Side) -> None:
    Path("theirs.onnx").write_bytes(marked(network(1), thief.watermark))
    words = ("dispute", "theirs.onnx", *CALL[2:], *KEYS)
    mine, theirs = wmx(*words, "--json").json["parties"]
    assert (mine["verified"], mine["bits"], mine["hits"], mine["n"]) == (False, None, None, None)
    assert theirs["bits"] > 300
    assert theirs["hits"] == 100
    (row,) = [line for line in wmx(*words).out.splitlines() if line.startswith("  owner.json")]
    assert "out: does not verify; claim without a trusted timestamp" in row


@pytest.mark.slow
def test_evidence_keeps_its_figures(wmx: Any, owner: Side, thief: Side) -> None:
    """Its triggers are public."""
    made = ("verify", "stolen.onnx", "--claim", "thief.json", "--key", "thief.pem")
    assert wmx(*made, "--evidence", "theirs.json", "--reveal", "60").code == 0
    words = ("--claim", "owner.json", "--key", "owner.pem", "--evidence", "theirs.json")
    shown = original(owner, "mine", marked(network(1), owner.watermark))
    result = wmx("dispute", "stolen.onnx", *words, *shown, "--json").json
    (marks,) = [one["marks"] for party in result["parties"] for one in party["originals"]]
    assert marks["owner.json"]["hits"] is None
    assert isinstance(marks["theirs.json"]["hits"], int)
    assert isinstance(marks["theirs.json"]["bits"], float)


def test_a_damaged_ledger_is_the_failure_of_its_party_alone(
    wmx: Any, owner: Side, thief: Side
) -> None:
    """Nobody is named, and the others learn where they stand."""
    folder = Path("owner.pem.spent")
    folder.mkdir()
    (folder / f"{owner.watermark.claim.digest}.json").write_text("{}")
    result = wmx(*CALL, *KEYS)
    assert result.code == 1
    assert "unclear: not tested: the ledger" in result.out
    assert "is not a DSSE envelope" in result.out
    assert "so nobody is named" in result.out
    told = wmx(*CALL, *KEYS, "--json").json["parties"]
    assert [(one["verified"], one["unclear"]) for one in told] == [(False, True), (True, False)]


def test_bits_that_were_asked_for_and_not_reached_are_called_that(
    wmx: Any, owner: Side, thief: Side
) -> None:
    said = wmx(*CALL, *KEYS, "--min-bits", "330").out
    assert "unclear: does not reach the 330 bits that were asked for (--min-bits)" in said
    assert "timestamp, which was not shown" not in said
