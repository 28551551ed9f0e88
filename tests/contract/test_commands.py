"""The commands that train, with every adapter: what they write, say and answer."""

import json
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wmx import Claim, OwnerKey, Watermark, verify
from wmx.cli import run
from wmx.training.batches import Batch, TrainingBatches
from wmx.training.config import Training
from wmx.training.plugins import ALIASES
from wmx.verification.store import Store

EMBED = ("embed", "--data", "digits", "--model", "mlp", "-o", "out", "--device", "cpu")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a key, and an empty current folder."""
    folder = tmp_path / "home"
    monkeypatch.setenv("WMX_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    folder.mkdir()
    OwnerKey.generate().save(folder / "owner.pem")
    return folder


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def test_embed_marks_a_model_and_trains_on_with_its_weights(
    kit: Any, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    framework = kit.ADAPTER.FRAMEWORK
    assert run([*EMBED, "--framework", framework, "--epochs", "8"]) == 0
    said = capfd.readouterr()
    assert said.out.startswith("the mark is in the model")
    assert said.err.count("embed: epoch") == 8
    assert names("out") == {
        "claim.json",
        "checkpoint.safetensors",
        "weights.safetensors",
        "model.onnx",
    }
    assert [claim.digest for claim in Store().claims()] == [Claim.load("out/claim.json").digest]
    assert run(["verify", "out/model.onnx"]) == 0

    (alias,) = (other for other, name in ALIASES.items() if name == framework)
    again = [*EMBED, "--framework", alias, "--epochs", "1", "--lr", "1e-6", "-n", "41", "--json"]
    again[again.index("out")] = "again"
    capfd.readouterr()
    code = run([*again, "--pretrained", "out/weights.safetensors"])
    said = capfd.readouterr()
    assert said.err == ""
    fields = json.loads(said.out)
    assert fields["command"] == "embed"
    assert fields["exit_code"] == code == 1, "one epoch at this rate does not teach a new mark"
    assert not fields["verified"]
    assert fields["n"] == 41
    assert fields["accuracy"] > 0.9, "the weights were not those that were trained"
    assert Path(fields["model_path"]).exists()
    for name in ("checkpoint.safetensors", "weights.safetensors"):  # they are the model
        assert Path("out", name).stat().st_mode & 0o777 == 0o600
    assert fields["triggers_path"] is None


def test_after_ctrl_c_the_same_command_resumes(
    kit: Any, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*EMBED, "--framework", kit.ADAPTER.FRAMEWORK, "--epochs", "3", "-n", "41"]
    epoch_of = TrainingBatches.epoch

    def interrupted(self: TrainingBatches, epoch: int) -> Iterator[Batch]:
        for number, batch in enumerate(epoch_of(self, epoch)):
            if (epoch, number) == (1, 5):
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        with monkeypatch.context() as patch:
            patch.setattr(TrainingBatches, "epoch", interrupted)
            assert run(command) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    said = capfd.readouterr()
    assert said.out == ""
    assert "--resume" in said.err
    assert names("out") == {"claim.json", "checkpoint.safetensors"}
    claim = Path("out/claim.json").read_bytes()
    assert run(command) == 4
    assert run([*command, "--resume"]) in (0, 1)
    said = capfd.readouterr()
    assert [f"epoch {n}/3" in said.err for n in (1, 2, 3)] == [False, True, True]
    assert Path("out/claim.json").read_bytes() == claim
    assert "model.onnx" in names("out")


def test_the_demonstration_shows_what_it_promises(
    kit: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def smaller(**settings: Any) -> Training:
        return Training(**{**settings, "model": "mlp"})  # the cnn is marked in test_contract.py

    monkeypatch.setattr("wmx.training.demo.Training", smaller)
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    command = ["demo", "--framework", kit.ADAPTER.FRAMEWORK, "--epochs", "8"]
    assert run(command) == 0
    captured = capfd.readouterr()
    marked, unmarked = captured.out.splitlines()[:2]
    assert marked.endswith(": VERIFIED")
    assert unmarked.endswith(": not verified")
    folder = Path("wmx-demo")
    assert names("wmx-demo") == {"owner.pem", "claim.json", "model.onnx", "unmarked.onnx"}
    assert (folder / "owner.pem").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "home").exists(), "the owner's store is left alone"
    watermark = Watermark.open(
        Claim.load(folder / "claim.json"), OwnerKey.load(folder / "owner.pem")
    )
    assert verify(folder / "unmarked.onnx", watermark).bits < 20
    commands = [line.strip() for line in captured.out.splitlines() if "wmx verify" in line]
    assert [run(shlex.split(line)[1:]) for line in commands] == [0, 1]
