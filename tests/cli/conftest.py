"""Fixtures of the command line's tests: a store and a folder for each, and a claim."""

from pathlib import Path
from typing import Any

import pytest
from commands import CLAIM_NEW, Result
from support import onnx_models

from wmx import Claim, OwnerKey, Watermark
from wmx.cli import run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a store of its own and works in its own folder."""
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "store"))
    monkeypatch.delenv("WMX_PASSPHRASE_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


@pytest.fixture
def wmx(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def claim(wmx: Any) -> Path:
    """A key in the store, a claim beside it, and a model that knows its labels in model.onnx."""
    assert wmx("keygen").code == 0
    assert wmx(*CLAIM_NEW, "-o", "claim.json").code == 0
    watermark = Watermark.open(Claim.load("claim.json"), OwnerKey.load("store/owner.pem"))
    Path("model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    Path("other.onnx").write_bytes(onnx_models.linear(watermark, seed=1))
    return Path("claim.json")
