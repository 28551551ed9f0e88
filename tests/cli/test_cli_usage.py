"""The command line as a whole: usage errors, JSON on every exit, help, and the script itself."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    "arguments", [("verfy",), ("verify",), ("verify", "a", "b"), ("verify", "a", "--nope")]
)
def test_usage_errors(wmx: Any, arguments: tuple[str, ...]) -> None:
    result = wmx(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert re.match(r"wmx: error: .*\nwmx: hint: wmx.*--help\n$", result.err)


@pytest.mark.parametrize("arguments", [(), ("claim",), ("release",)])
def test_a_command_that_needs_another_shows_its_help(wmx: Any, arguments: tuple[str, ...]) -> None:
    result = wmx(*arguments)
    assert result.code == 2
    assert result.err.startswith(f"Usage: {' '.join(('wmx', *arguments))} [OPTIONS]")
    assert result.err.count("\n") > 5
    assert "error" not in result.err


def test_json_is_printed_on_every_exit(wmx: Any, claim: Path) -> None:
    for arguments, code in (
        (("verify", "model.onnx"), 0),
        (("verify", "other.onnx"), 1),
        (("verify", "model.onnx", "--nope"), 2),
        (("verify", "model.onnx", "--claim", "model.onnx"), 3),
        (("verify", "gone.onnx"), 4),
    ):
        result = wmx(*arguments, "--json")
        assert result.code == code
        assert result.json["exit_code"] == code
        assert result.json["command"] == "verify"
        assert ("error" in result.json) == (code >= 2)


def test_help_lists_every_command(wmx: Any) -> None:
    result = wmx("--help")
    assert result.code == 0
    for command in ("demo", "keygen", "claim", "embed", "verify", "dispute", "info", "doctor"):
        assert f"  {command} " in result.out
    assert wmx("--version").out.startswith("wmx 0.")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from wmx.cli import run; run(['--help']);"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'torch', 'cryptography'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_verify_imports_neither_a_framework_nor_onnx(claim: Path) -> None:
    code = (
        "import sys; from wmx.cli import run; assert run(['verify', 'model.onnx']) == 0;"
        "heavy = {'onnx', 'torch', 'rich', 'scipy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_script_itself(claim: Path) -> None:
    script = Path(sys.executable).with_name("wmx")
    done = subprocess.run([script, "verify", "model.onnx"], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"VERIFIED")
    assert done.stderr == b""
    done = subprocess.run([script, "verify", "gone.onnx"], capture_output=True, check=False)
    assert done.returncode == 4


@pytest.mark.skipif(os.name != "posix", reason="pipes are closed differently elsewhere")
def test_a_reader_that_goes_away_is_no_traceback(claim: Path) -> None:
    script = Path(sys.executable).with_name("wmx")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{script} info model.onnx | true"], capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
