"""``wmx info`` and ``wmx doctor``."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy


def test_info_on_every_kind_of_file(wmx: Any, claim: Path) -> None:
    assert "owner key" in wmx("info", "store/owner.pem").out
    assert wmx("info", "store/owner.pem", "--json").json["kind"] == "owner key"
    assert wmx("info", claim, "--json").json["kind"] == "claim"
    model = wmx("info", "model.onnx", "--claim", claim)
    assert "tensor(float) [?, 1, 8, 8]" in model.out
    assert "fed as  layout NCHW" in model.out
    assert wmx("info", "gone.onnx").code == 4


def test_info_refuses_the_files_that_the_reference_leaves_out(wmx: Any, claim: Path) -> None:
    """``docs/reference/files.md`` says which kinds it reads."""
    assert wmx("verify", "model.onnx", "--evidence", "e.json", "--report", "page.html").code == 0
    (ledger,) = Path("store/owner.pem.spent").glob("*.json")
    safetensors.numpy.save_file({"w": np.zeros(3, np.float32)}, "weights.safetensors")
    Path("attacks.json").write_text('{"wmx_attacks": 1, "attacks": []}\n')
    for file in ("page.html", ledger, "weights.safetensors", "attacks.json"):
        assert wmx("info", file).code in (3, 4), file


def test_doctor_shows_versions_and_providers(wmx: Any) -> None:
    result = wmx("doctor", "--json")
    assert result.code == 0
    document = result.json
    assert document["versions"]["numpy"] == np.__version__
    assert "CPUExecutionProvider" in document["providers"]
    assert "torch" in document["adapters"]
    assert document["problems"] == []


def test_doctor_sees_two_runtimes_and_names_the_cure(
    wmx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wmx.cli import doctor

    def installed(package: str) -> str:
        return "1.31.1" if package == "onnxruntime" else "1.30.0"

    monkeypatch.setattr(doctor, "_version", installed)
    result = wmx("doctor")
    assert result.code == 1
    assert "pip uninstall onnxruntime onnxruntime-gpu" in result.out
    monkeypatch.setattr(doctor, "_version", lambda package: "1.31.1")
    assert wmx("doctor").code == 0, "at one version they hold the same files"


def test_doctor_sees_a_key_that_others_can_read(wmx: Any, claim: Path) -> None:
    Path("store/owner.pem").chmod(0o644)
    result = wmx("doctor")
    assert result.code == 1
    assert "chmod 600" in result.out


def test_doctor_sees_a_passphrase_that_others_can_read(
    wmx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WMX_PASSPHRASE_FILE", "words")
    assert wmx("doctor").code == 0, "a file that is not there gives nothing away"
    Path("words").write_text("correct horse\n")
    Path("words").chmod(0o640)
    result = wmx("doctor")
    assert result.code == 1
    assert "other users of this machine can read the passphrase file words" in result.out
    assert "chmod 600 words" in result.out
    Path("words").chmod(0o600)
    assert wmx("doctor").code == 0
