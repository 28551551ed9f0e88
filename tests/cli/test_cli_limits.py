"""The limits of a suspect on the command line."""

import sys
from pathlib import Path
from typing import Any

import pytest

import wmx.suspect.remote
import wmx.suspect.sandbox.process
from wmx import open_suspect


@pytest.mark.parametrize(
    "words",
    [
        *(("--seconds", value) for value in ("0", "-1", "nan", "1e9")),
        *(("--memory", value) for value in ("0", "nan", "inf")),
    ],
)
def test_limits_that_cannot_be(wmx: Any, claim: Path, words: tuple[str, str]) -> None:
    result = wmx("verify", "model.onnx", *words)
    assert result.code == 2
    assert words[0] in result.err


def test_a_suspect_within_its_limits_is_judged(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--seconds", "100", "--memory", "2").code == 0


def test_a_suspect_that_has_no_time_at_all(wmx: Any, claim: Path) -> None:
    result = wmx("verify", "model.onnx", "--seconds", "0.001", "--json")
    assert result.code == 4
    assert "longer than 0.001 s" in result.err
    assert result.json["exit_code"] == 4


def test_a_checker_has_the_same_limits(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    check = ("check", "e.json", "--model", "model.onnx")
    assert wmx(*check, "--seconds", "100", "--memory", "2").code == 0
    assert wmx(*check, "--seconds", "0").code == 2
    result = wmx(*check, "--seconds", "0.001", "--json")
    assert result.code == result.json["exit_code"] == 4
    assert "longer than 0.001 s" in result.err


def test_the_doctor_says_what_holds(wmx: Any) -> None:
    held = wmx("doctor", "--json").json["suspect_limits"]
    if sys.platform == "linux":
        assert {"memory", "CPU time", "network", "other processes", "reading files"} <= set(held)
    assert isinstance(held, list)


def without_filter(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Start children as on a system without a filter; return what the parent does about it."""
    begin = (
        "import wmx.suspect.sandbox.seccomp as s; s.filter_this_process = lambda **_: False; main ="
    )
    there = wmx.suspect.sandbox.process.BOOTSTRAP.replace("main =", begin)
    monkeypatch.setattr(wmx.suspect.sandbox.process, "BOOTSTRAP", there)
    done: list[str] = []
    monkeypatch.setattr(wmx.suspect.remote, "hide_this_process", lambda: done.append("hidden"))
    return done


def test_a_model_that_runs_without_a_filter_is_told_once_and_on_stderr(
    wmx: Any, claim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = wmx("verify", "model.onnx", "--device", "cpu", "--evidence", "e.json", "--json")
    done = without_filter(monkeypatch)
    for words in (("verify", "model.onnx"), ("check", "e.json", "--model", "model.onnx")):
        result = wmx(*words, "--device", "cpu", "--json")
        assert result.code == 0
        assert result.err.startswith("wmx: warning: on this system the model's process can reach")
        assert result.err.count("\n") == 1
        assert result.json["verified"]
        assert done.pop() == "hidden"
    assert "warning" not in locked.err or sys.platform != "linux"


def test_the_library_says_nothing_of_it(
    claim: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_filter(monkeypatch)
    capsys.readouterr()
    open_suspect("model.onnx").close()
    assert capsys.readouterr() == ("", "")
