"""``wmx demo``: the marked model verifies, its unmarked twin does not, and the words are true."""

import json
import shlex
from pathlib import Path

import pytest

from wmx import Claim, OwnerKey, Watermark, verify
from wmx.cli import run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("WMX_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_demonstration_shows_what_it_promises(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo"]) == 0
    captured = capsys.readouterr()
    marked, unmarked = captured.out.splitlines()[:2]
    assert marked.endswith(": VERIFIED")
    assert unmarked.endswith(": not verified")
    folder = Path("wmx-demo")
    assert {path.name for path in folder.iterdir()} == {
        "owner.pem",
        "claim.json",
        "model.onnx",
        "unmarked.onnx",
    }
    assert (folder / "owner.pem").stat().st_mode & 0o777 == 0o600
    assert not home.exists(), "the owner's store is left alone"

    watermark = Watermark.open(
        Claim.load(folder / "claim.json"), OwnerKey.load(folder / "owner.pem")
    )
    verdict = verify(folder / "model.onnx", watermark)
    assert verdict.hits >= 98
    assert verdict.bits >= 300
    assert verify(folder / "unmarked.onnx", watermark).bits < 20

    commands = [line.strip() for line in captured.out.splitlines() if "wmx verify" in line]
    assert [run(shlex.split(command)[1:]) for command in commands] == [0, 1]


def test_json_and_what_lies_there_already(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--out", "d", "--epochs", "1", "--json"]) in (0, 1)
    captured = capfd.readouterr()
    fields = json.loads(captured.out)
    assert captured.err == ""
    assert fields["command"] == "demo"
    assert 0 <= fields["unmarked"]["accuracy"] <= 1
    assert not fields["unmarked"]["verified"]

    key = Path("d/owner.pem").read_bytes()
    Path("d/notes.txt").write_text("mine")
    assert run(["demo", "--out", "d", "--epochs", "1"]) == 4
    assert Path("d/owner.pem").read_bytes() == key
    assert run(["demo", "--out", "d", "--epochs", "1", "--force"]) in (0, 1)
    assert Path("d/owner.pem").read_bytes() != key
    assert Path("d/notes.txt").read_text() == "mine"
