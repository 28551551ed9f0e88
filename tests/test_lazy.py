"""What needs no framework loads none, though all are installed here; and ``import wmx`` is free."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import onnx_models

from wmx import Claim, OwnerKey, Watermark

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "jaxlib", "flax"}
HEAVY = FRAMEWORKS | {"numpy", "onnx", "onnxruntime", "cryptography", "rich", "typer", "sklearn"}
LOADED = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)
"""
COMMAND = "from wmx.cli import run; assert run(sys.argv[1:]) == 0"


def loaded(code: str, *arguments: str, cwd: Path | None = None) -> set[str]:
    """The modules that ``code`` loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(code=code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key, a claim and a model that knows its labels."""
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "home"))
    owner = OwnerKey.generate()
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=10)
    owner.save(tmp_path / "owner.pem")
    watermark.claim.save(tmp_path / "claim.json")
    (tmp_path / "model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    assert Claim.load(tmp_path / "claim.json").digest == watermark.claim.digest
    return tmp_path


def test_every_framework_is_there_to_be_loaded() -> None:
    assert {name for name in FRAMEWORKS if importlib.util.find_spec(name) is None} == set()


def test_importing_wmx_imports_next_to_nothing() -> None:
    names = loaded("import wmx")
    assert "wmx" in names
    assert {name.partition(".")[0] for name in names} & HEAVY == set()
    assert len(names) <= 20, f"the budget is twenty modules: {sorted(names)}"
    own = {name for name in names if name.startswith("wmx")}
    assert own == {"wmx", "wmx._version", "wmx._internal", "wmx._internal.lazy"}


def test_a_model_that_verifies_at_once_needs_no_random_numbers(folder: Path) -> None:
    """They take milliseconds to load, which every verdict would wait for."""
    words = ["verify", "model.onnx", "--claim", "claim.json", "--key", "owner.pem"]
    assert "numpy.random" not in loaded(COMMAND, *words, cwd=folder)


def test_help_loads_the_command_line_and_nothing_else() -> None:
    tops = {name.partition(".")[0] for name in loaded(COMMAND, "--help")}
    assert tops & HEAVY == {"typer"}


@pytest.mark.parametrize(
    "command",
    [
        "verify model.onnx --claim claim.json --key owner.pem",
        "verify model.onnx --claim claim.json --key owner.pem --json",
        "info model.onnx",
        "info claim.json",
        "keygen -o new.pem",
        "claim show claim.json",
        "claim new --shape 8,8,1 --classes 10 --key owner.pem -o new.json",
    ],
)
def test_commands_that_do_not_train_load_no_framework(command: str, folder: Path) -> None:
    tops = {name.partition(".")[0] for name in loaded(COMMAND, *command.split(), cwd=folder)}
    assert tops & (FRAMEWORKS | {"sklearn", "scipy", "pandas", "tf2onnx", "jax2onnx"}) == set()
    if command.startswith("verify"):
        assert not tops & {"onnx", "onnxruntime"}, "another process runs the suspect"
        assert not tops & {"jinja2", "matplotlib", "PIL"}, "no page is wanted"
