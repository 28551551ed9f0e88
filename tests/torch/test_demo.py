"""``wmx demo`` as the README has it; what it promises in every framework: tests/contract."""

import json
from pathlib import Path

import documents
import pytest

from wmx import Claim, OwnerKey, Watermark, verify
from wmx.cli import run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("WMX_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.slow
def test_the_demonstration_at_its_full_size_leaves_a_strong_mark() -> None:
    assert run(["demo"]) == 0
    folder = Path("wmx-demo")
    watermark = Watermark.open(
        Claim.load(folder / "claim.json"), OwnerKey.load(folder / "owner.pem")
    )
    verdict = verify(folder / "model.onnx", watermark)
    assert verdict.hits >= 98
    assert verdict.bits >= 300
    assert verify(folder / "unmarked.onnx", watermark).bits < 20


def test_json_and_what_lies_there_already(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--out", "d", "--epochs", "1", "--json"]) in (0, 1)
    captured = capfd.readouterr()
    fields = json.loads(captured.out)
    assert captured.err == ""
    assert fields["command"] == "demo"
    assert 0 <= fields["unmarked"]["accuracy"] <= 1
    assert not fields["unmarked"]["verified"]
    documented = documents.json_fields("What every answer holds", "wmx demo")
    assert documents.json_paths(fields) == documented - {"error.message", "error.hint"}

    key = Path("d/owner.pem").read_bytes()
    Path("d/notes.txt").write_text("mine")
    assert run(["demo", "--out", "d", "--epochs", "1"]) == 4
    assert Path("d/owner.pem").read_bytes() == key
    claim = Path("d/claim.json").read_bytes()
    assert run(["demo", "--out", "d", "--epochs", "1", "--force"]) in (0, 1)
    assert Path("d/owner.pem").read_bytes() == key, "other claims may hang on it"
    assert Path("d/claim.json").read_bytes() != claim
    assert Path("d/notes.txt").read_text() == "mine"
