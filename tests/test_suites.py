"""What plain ``pytest`` does with suites of frameworks: skipped where nobody asked for them."""

import pytest
from support.stacks import SUITES, TESTS

pytest_plugins = ["pytester"]

HOUSE = """
import pytest
from support import stacks

stacks.TESTS = __import__("pathlib").Path(__file__).parent

def pytest_addoption(parser):
    stacks.add_options(parser)

def pytest_collect_directory(path, parent):
    return stacks.suite(path, parent)
"""
SUITE = {
    "conftest.py": "import no_such_framework\n",
    "test_it.py": "def test_it(): pass\n",
}


@pytest.fixture
def house(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A core of one test, and two suites whose framework is not installed."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    pytester.makeini("[pytest]")
    pytester.path.joinpath("conftest.py").write_text(HOUSE)
    pytester.path.joinpath("test_core.py").write_text("def test_core(): pass\n")
    for name in ("torch", "jax"):
        folder = pytester.mkdir(name)
        for file, text in SUITE.items():
            folder.joinpath(file).write_text(text)
    return pytester


def test_what_was_not_asked_for_is_skipped_with_a_reason(house: pytest.Pytester) -> None:
    done = house.runpytest_subprocess("-rs")
    done.assert_outcomes(passed=1, skipped=2)
    done.stdout.fnmatch_lines(["*not asked for: pytest tests/torch*"])


@pytest.mark.parametrize("words", [("torch",), ("torch/test_it.py",), ("--stack", "torch")])
def test_what_was_asked_for_and_is_missing_fails(
    house: pytest.Pytester, words: tuple[str, ...]
) -> None:
    done = house.runpytest_subprocess(*words)
    assert done.ret not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert "no_such_framework" in f"{done.stdout}{done.stderr}"


def test_every_suite_has_its_folder_and_its_target() -> None:
    makefile = (TESTS.parent / "Makefile").read_text()
    for name in SUITES:
        assert (TESTS / name).is_dir()
        assert f"$(PYTEST) tests/{name}" in makefile
