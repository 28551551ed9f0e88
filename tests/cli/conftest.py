"""Fixtures of the command line's tests: a store and a folder for each, and a claim."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import CLAIM_NEW, Result, make_in
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


@pytest.fixture(scope="session")
def claimed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of which :func:`claim` gives each test a copy."""
    folder = tmp_path_factory.mktemp("claimed")
    make_in(folder, ("keygen",), (*CLAIM_NEW, "-o", "claim.json"))
    key = OwnerKey.load(folder / "store" / "owner.pem")
    watermark = Watermark.open(Claim.load(folder / "claim.json"), key)
    (folder / "model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    (folder / "other.onnx").write_bytes(onnx_models.linear(watermark, seed=1))
    return folder


@pytest.fixture
def claim(claimed: Path, home: Path) -> Path:
    """A key in the store, a claim beside it, and a model that knows its labels in model.onnx."""
    shutil.copytree(claimed, Path(), dirs_exist_ok=True)
    return Path("claim.json")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is asked again at once."""
    monkeypatch.setattr("wmx.suspect.endpoint.client._pause", lambda *_: 0.0)
