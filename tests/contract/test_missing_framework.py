"""A framework that is not installed: a hint for users, and a failure of this suite."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GONE = """
import importlib.abc, sys
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
"""
LOAD = """
from wmx.training.plugins import load_adapter
from wmx.errors import MissingExtraError
try:
    load_adapter(sys.argv[2])
except MissingExtraError as error:
    print(error.hint)
"""
IMPORT = """
from wmx.errors import MissingExtraError
try:
    __import__(sys.argv[2])
except MissingExtraError as error:
    print(error, error.hint)
"""
TEST = "import pytest; sys.exit(pytest.main(sys.argv[2:]))"


def without(package: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a process where ``package`` is not installed."""
    command = [sys.executable, "-c", GONE + code, package, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def test_a_missing_framework_gives_the_pip_hint(kit: Any) -> None:
    framework = kit.ADAPTER.FRAMEWORK
    done = without(kit.PACKAGES[-1 if framework == "jax" else 0], LOAD, framework)
    assert f'pip install -c constraints.txt ".[{framework}]"' in done.stdout


def test_an_adapter_that_is_imported_says_what_to_install(kit: Any) -> None:
    framework = kit.ADAPTER.FRAMEWORK
    done = without(kit.PACKAGES[0], IMPORT, kit.ADAPTER.__name__.partition(".")[0])
    assert done.stdout.startswith(f"{kit.PACKAGES[0]} is not installed"), done.stderr
    assert f'pip install -c constraints.txt ".[{framework}]"' in done.stdout


def test_a_stack_that_is_asked_for_and_not_there_fails_this_suite(kit: Any) -> None:
    for package in kit.PACKAGES:
        done = without(package, TEST, "tests/contract", "--stack", kit.STACK, "-q")
        said = done.stdout + done.stderr
        assert done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        assert f"No module named '{package}'" in said
        assert "skipped" not in said
        assert "passed" not in said
