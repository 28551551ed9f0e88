"""Several claims in the store: which one others are shown, and what is no answer."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import CLAIM_NEW
from onnx import helper, numpy_helper

from wmx import Claim, OwnerKey, Watermark


@pytest.fixture
def second(wmx: Any, claim: Path) -> Path:
    """A second claim that fits the models."""
    assert wmx(*CLAIM_NEW, "-o", "second.json").code == 0
    return Path("second.json")


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "model.onnx", "--evidence", "new.json"),
        ("release", "model.onnx", "-o", "new.json"),
    ],
)
def test_a_suspect_does_not_choose_the_claim_that_others_see(
    wmx: Any, claim: Path, second: Path, home: Path, monkeypatch: pytest.MonkeyPatch, words: Any
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("wmx.verification.scan.judge", None)  # nothing is queried
        result = wmx(*words)
    assert result.code == 2
    assert "2 claims fit" in result.err
    assert "--claim" in result.err
    for path in (claim, second):
        one = Claim.load(path)
        assert f"{one.digest} (created {one.created}, image 8x8x1, 10 classes)" in result.err
    assert "wmx claim list" in result.err
    assert not Path("new.json").exists()
    assert not (home / "owner.pem.spent").exists()
    assert wmx("verify", "model.onnx").code == 0, "the owner alone sees the best match"
    assert wmx(*words, "--claim", claim).code == 0


def test_claims_of_other_inputs_need_no_name(wmx: Any, claim: Path) -> None:
    tokens = ("--kind", "tokens", "--vocabulary", "50", "--shape", "5")
    assert wmx("claim", "new", *tokens, "--classes", "10", "-o", "other.json").code == 0
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    assert wmx("release", "model.onnx").code == 0


def fails_on(path: Path) -> bytes:
    """A model that fails on rows near any trigger of a claim: it gathers beyond an end."""
    mark = Watermark.open(Claim.load(path), OwnerKey.load("store/owner.pem"))
    triggers = mark.inputs.reshape(len(mark.inputs), -1).astype(np.float32)
    weights = {
        "twice": np.ascontiguousarray(-2 * triggers.T),
        "squares": (triggers**2).sum(axis=1)[None],
        "near": np.float32(1e-2),
        "far": np.int64(10**6),
        "one": np.zeros(1, np.float32),
        "weights": np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32),
    }
    nodes = [
        helper.make_node(operator, inputs.split(), [output], **more)
        for operator, inputs, output, more in (
            ("Flatten", "x", "flat", {}),
            ("ReduceL2", "flat", "norm", {"axes": [1]}),
            ("Mul", "norm norm", "square", {}),
            ("MatMul", "flat twice", "product", {}),
            ("Add", "product square", "partial", {}),
            ("Add", "partial squares", "distance", {}),
            ("ReduceMin", "distance", "least", {"keepdims": 0}),
            ("Less", "least near", "hit", {}),
            ("Cast", "hit", "number", {"to": 7}),
            ("Mul", "number far", "index", {}),
            ("Gather", "one index", "zero", {}),
            ("MatMul", "flat weights", "scores", {}),
            ("Add", "scores zero", "logits", {}),
        )
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", 1, ["n", 10])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.mark.slow
def test_a_file_that_fails_on_one_claim_has_not_said_no(
    wmx: Any, claim: Path, second: Path
) -> None:
    Path("fails.onnx").write_bytes(fails_on(second))
    digest = Claim.load(second).digest
    assert wmx("verify", "fails.onnx", "--claim", second).code == 4
    assert wmx("verify", "fails.onnx", "--claim", claim).code == 1
    result = wmx("verify", "fails.onnx", "--report", "page.html")
    assert result.code == 4
    assert result.out.startswith("NOT VERIFIED, and no answer yet: 1 of 2 claims could not be")
    assert "--claim" in result.out
    assert f"{digest}: the model failed" in " ".join(result.out.split())
    assert "NO ANSWER YET" in Path("page.html").read_text()
    told = wmx("verify", "fails.onnx", "--json").json
    assert (told["exit_code"], list(told["claims_passed_over"])) == (4, [digest])
    assert "1 of 2 claims could not be tested" in told["error"]["message"]
    assert told["claim"] == Claim.load(claim).digest


def test_a_claim_that_is_spent_is_no_no(wmx: Any, claim: Path) -> None:
    words = ("--claim", claim, "--evidence", "all.json", "--reveal", "all")
    assert wmx("verify", "model.onnx", *words).code == 0
    assert wmx("verify", "other.onnx", "--claim", claim).code == 4
    assert wmx(*CLAIM_NEW, "-o", "second.json").code == 0
    result = wmx("verify", "other.onnx")
    assert result.code == 4
    assert "was disclosed" in result.out


@pytest.mark.parametrize("content", ["{}", None])
def test_a_ledger_that_cannot_be_read_is_the_failure_of_its_claim_alone(
    wmx: Any, claim: Path, second: Path, home: Path, content: str | None
) -> None:
    digest = Claim.load(second).digest
    path = home / "other.spent" / f"{digest}.json"
    path.parent.mkdir()
    if content is None:
        path.symlink_to("nowhere")
    else:
        path.write_text(content)
    result = wmx("verify", "model.onnx", "--json")
    assert result.code == 0
    assert list(result.json["claims_passed_over"]) == [digest]
    assert wmx("verify", "other.onnx").code == 4
    assert wmx("verify", "model.onnx", "--claim", second).code == (4 if content is None else 3)


def test_a_claim_of_the_store_that_is_broken_takes_no_yes_from_others(
    wmx: Any, claim: Path, second: Path, home: Path
) -> None:
    digest = Claim.load(second).digest
    kept = home / "claims" / f"{digest}.json"
    kept.write_bytes(kept.read_bytes()[:-2])
    result = wmx("verify", "model.onnx", "--json")
    assert result.code == 0
    assert list(result.json["claims_passed_over"]) == [digest]
    assert wmx("verify", "other.onnx").code == 4
    for one in (home / "claims").glob("*.json"):
        one.write_bytes(b"{")
    assert wmx("verify", "model.onnx").code == 4
    kept.unlink()
    assert wmx("verify", "model.onnx").code == 3
