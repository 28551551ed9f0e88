"""What is said twice about the project is said alike."""

import re
import tomllib
from pathlib import Path

import wmx

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_hooks_before_a_commit_are_those_of_make_lint() -> None:
    target = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"\$\(BIN\)/(.+)", target) == re.findall(r"entry: (.+?), language", hooks)


def test_the_citation_is_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {wmx.__version__}\n" in citation
    assert f"  - name: {PROJECT['authors'][0]['name']}\n" in citation


def test_continuous_integration_runs_the_versions_that_are_promised() -> None:
    promised = {one.rpartition(" ")[2] for one in PROJECT["classifiers"] if ":: 3." in one}
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    matrix = re.search(r"python: \[(.*)\]", workflow)
    assert matrix is not None
    assert set(re.findall(r"[0-9.]+", matrix[1])) == promised


def test_nothing_says_to_install_wmx_by_its_name() -> None:
    """A package of that name on an index is not this one, and would see the user's key."""
    by_name = re.compile(r"pip install (--\S+ )*[\"'\\]*wmx")
    for folder in ("wmx", "adapters", "examples"):
        for file in (ROOT / folder).rglob("*.py"):
            assert not by_name.search(file.read_text()), file
