"""``wmx attack``: on an ONNX file; runs of ``wmx embed`` are attacked in tests/torch/attacks."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import onnx_models

from wmx import Claim, OwnerKey, Watermark
from wmx.attacks.catalogue import ATTACKS

ATTACK = ("attack", "model.onnx", "--data", "digits", "--claim", "claim.json")


@pytest.fixture
def claim(wmx: Any) -> Path:
    """A claim for the digits, and a model that knows its labels."""
    assert wmx("keygen").code == 0
    made = wmx("claim", "new", "--shape", "8,8,1", "--classes", "10", "-o", "claim.json")
    assert made.code == 0
    watermark = Watermark.open(Claim.load("claim.json"), OwnerKey.load("store/owner.pem"))
    Path("model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    return Path("claim.json")


def test_the_list_names_every_attack(wmx: Any) -> None:
    listed = wmx("attack", "--list")
    assert listed.code == 0
    assert all(f"\n  {name} " in listed.out for name in ATTACKS)
    document = wmx("attack", "--list", "--json").json
    assert [entry["name"] for entry in document["attacks"]] == list(ATTACKS)


def test_results_are_printed_kept_and_drawn(wmx: Any, claim: Path) -> None:
    result = wmx(*ATTACK, "--attacks", "4-levels,permute-classes", "-o", "out")
    assert result.code == 0
    assert "before any attack" in result.out
    assert "permute-classes" in result.out
    assert result.err.splitlines()[0].startswith("attack 1/2  4-levels")
    document = json.loads(Path("out/attacks.json").read_text())
    assert [entry["name"] for entry in document["attacks"]] == ["4-levels", "permute-classes"]
    assert document["before"]["verified"]
    assert "4-levels" in Path("out/attacks.html").read_text()
    again = wmx(*ATTACK, "--attacks", "blur", "-o", "out")
    assert again.code == 4
    assert "--resume" in again.err
    more = wmx(*ATTACK, "--attacks", "4-levels,blur", "-o", "out", "--resume", "--json")
    assert more.code == 0
    assert more.err == ""
    names = [entry["name"] for entry in more.json["attacks"]]
    assert names == ["4-levels", "permute-classes", "blur"]


def test_without_a_folder_the_results_lie_beside_the_model(wmx: Any, claim: Path) -> None:
    assert wmx(*ATTACK, "--attacks", "flip").code == 0
    assert {path.name for path in Path("attacks").iterdir()} == {"attacks.json", "attacks.html"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("attack",), 2, "expected a model to attack, and --data"),
        (("attack", "model.onnx", "--data", "digits"), 2, "expected its claim too"),
        ((*ATTACK, "--attacks", "magic"), 2, "no attack or group 'magic'"),
        ((*ATTACK, "--set", "tempo=3"), 2, "none of the chosen attacks"),
        ((*ATTACK, "--attacks", "finetune"), 2, "ftll needs the weights"),
        ((*ATTACK, "--framework", "sklearn"), 2, "sklearn fits an estimator in one call"),
        ((*ATTACK, "--data", "nothing.npz"), 4, "no such file: nothing.npz"),
        (("attack", "other.onnx", *ATTACK[2:]), 4, "no such file"),
        (("attack", ".", "--data", "digits"), 4, "holds no finished run"),
        ((*ATTACK, "--min-bits", "1000"), 4, "does not verify before any attack"),
    ],
)
def test_errors(wmx: Any, claim: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = wmx(*arguments)
    assert result.code == code
    assert message in result.err
    assert not Path("attacks", "attacks.json").exists()


def test_data_of_another_shape_are_refused(wmx: Any, claim: Path) -> None:
    made = wmx("claim", "new", "--shape", "28,28,1", "--classes", "10", "-o", "other.json")
    assert made.code == 0
    result = wmx("attack", "model.onnx", "--data", "digits", "--claim", "other.json")
    assert result.code == 2
    assert "(8, 8, 1)" in result.err
    assert "(28, 28, 1)" in result.err
