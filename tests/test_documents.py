"""The documentation is true as far as it can be seen without a framework: links, tables, parts."""

import ast
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from documents import (
    DOCS,
    GUIDES,
    LANGUAGES,
    PLAYED,
    PROGRAMS,
    README,
    ROOT,
    WALKS,
    anchors,
    blocks,
    commands,
    links,
    page,
    pages,
    programs,
    walk,
)

from wmx import errors
from wmx.training import load_data

OUTSIDE = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")]


@pytest.mark.parametrize(
    "path", [*pages(), *OUTSIDE], ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    for link in links(path.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), f"{path.name}: {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{path.name}: {link}"


def test_pages_of_the_site_link_to_nothing_outside_it() -> None:
    for path in DOCS.rglob("*.md"):
        for link in links(path.read_text()):
            if "://" not in link and not link.startswith("#"):
                assert (path.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    named = re.findall(r": (\S+\.md)$", navigation, flags=re.MULTILINE)
    assert sorted(named) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_the_site_loads_nothing_from_the_net() -> None:
    settings = (ROOT / "mkdocs.yml").read_text()
    assert re.search(r"^  font: false\b", settings, flags=re.MULTILINE)
    assert "http" not in settings


def test_the_readme_is_short() -> None:
    assert len(README.read_text().split()) <= 1500


def test_no_guide_has_a_block_of_another_kind() -> None:
    for path in [README, *GUIDES]:
        found = set(re.findall(r"^ *```(\S+)$", path.read_text(), flags=re.MULTILINE))
        assert found <= LANGUAGES, path.name


def test_every_program_and_every_command_has_a_test() -> None:
    """``documents.py`` says which suite runs which; a page that is forgotten there fails here."""
    for path in GUIDES:
        name, text = str(path.relative_to(DOCS)), path.read_text()
        assert len(blocks(text, "python")) == len(PROGRAMS.get(name, ())), name
        assert len(programs(text)) == len(PROGRAMS.get(name, ())), name
        walked = name in (*WALKS, *PLAYED, "tutorial.md")
        assert bool(walk(text)) == walked, name


def test_the_steps_of_the_workflow_are_commands_that_were_run() -> None:
    (workflow,) = blocks(page("how-to/ci.md"), "yaml")
    steps = re.findall(r"- run: (wmx .*)$", workflow, flags=re.MULTILINE)
    assert steps
    assert set(steps) <= set(commands(page("how-to/ci.md")))


def test_the_make_targets_are_there() -> None:
    targets = re.findall(r"(?:^|`)make (\w+)", README.read_text(), flags=re.MULTILINE)
    assert {"demo", "test", "docs"} <= set(targets)
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
    assert re.search(r"^make .*\btest\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_each_question_has_a_place_of_its_answer() -> None:
    found = re.split(r"^### ", page("questions.md"), flags=re.MULTILINE)[1:]
    assert found
    for question in found:
        title, _, answer = question.partition("\n")
        assert title.endswith(("?", "?`", "now?")), title
        assert links(answer), title
        for source in re.findall(r"`((?:wmx|adapters|tests)/[^`]+)`", answer):
            assert (ROOT / source).exists(), f"{title}: {source}"


def test_the_questions_say_how_many_they_are() -> None:
    text = page("questions.md")
    assert text.count("\n### ") == 90
    assert "Ninety questions" in text
    assert "[ninety questions](docs/questions.md)" in README.read_text()


def test_the_figures_are_those_that_were_measured() -> None:
    script = [sys.executable, ROOT / "benchmarks" / "redraw.py"]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    survival, figures, frameworks = done.stdout.strip().split("\n\n")
    assert survival.count("\n") >= 10
    assert figures.count("\n") >= 8
    assert frameworks.count("\n") == 6
    for table in (survival, figures, frameworks):
        assert table in page("figures.md")


def test_the_benchmarks_say_how_to_make_their_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From files in the format of MNIST: the program takes their first 10,000 digits."""
    monkeypatch.chdir(tmp_path)
    pixels = np.arange(10_001 * 28 * 28, dtype=np.uint32).astype(np.uint8)
    digits = np.arange(10_001, dtype=np.uint32).astype(np.uint8) % 10
    for name, header, values in (
        ("train-images-idx3-ubyte.gz", 16, pixels),
        ("train-labels-idx1-ubyte.gz", 8, digits),
    ):
        with gzip.open(name, "wb", compresslevel=1) as file:
            file.write(bytes(header) + values.tobytes())
    (program,) = blocks((ROOT / "benchmarks" / "README.md").read_text(), "python")
    exec(program, {})
    data = load_data("mnist10k.npz")
    assert len(data.x_train) + len(data.x_test) == 10_000
    with np.load("mnist10k.npz") as made:
        assert made["x"].tobytes() == pixels[: 10_000 * 28 * 28].tobytes()
        assert made["y"].tobytes() == digits[:10_000].tobytes()


MARKED_OVER = "another mark trained over it, then fine-tuned"
README_ROWS = {  # the README's words, and the row of docs/figures.md
    "8-bit weights and activations": "8-bit weights and activations",
    "all layers fine-tuned, rate .05": "fine-tuning of all layers, rate .05",
    "a new last layer, all layers trained": "a new last layer, all layers trained, rate .05",
    "90 % of the weights pruned, then fine-tuned": "90 % pruned, then fine-tuned",
    MARKED_OVER: MARKED_OVER,
    "a new network trained on its answers": "a new network from its probabilities",
}


@pytest.mark.parametrize("words", README_ROWS)
def test_the_readme_repeats_figures_of_the_table(words: str) -> None:
    (row,) = re.findall(rf"^\| {re.escape(words)} \|(.*)\|$", README.read_text(), re.MULTILINE)
    (source,) = re.findall(
        rf"^\| {re.escape(README_ROWS[words])} \|(.*)\|$", page("figures.md"), re.MULTILINE
    )
    robust, _, from_scratch, *_ = [cell.strip() for cell in source.split("|")]
    assert [cell.strip() for cell in row.split("|")] == [robust, from_scratch]


@pytest.mark.parametrize("path", [README, DOCS / "index.md"], ids=lambda path: path.name)
def test_the_caption_says_what_the_picture_shows(path: Path) -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "evidence_picture.json").read_text())
    caption = " ".join(path.read_text().split())
    marked, unmarked = (round(found[name]["bits"]) for name in ("marked", "unmarked"))
    assert f"The marked one has {marked} bits in the end, its twin {unmarked};" in caption
    assert f"{found['date']}, `{found['command']}`" in caption


PLOTTED = ("robust_30", "brief_15", "robust_15", "adi_30")


def test_the_pictures_of_the_experiments_show_what_was_measured() -> None:
    """``python benchmarks/experiments_picture.py`` draws them anew."""
    results = ROOT / "benchmarks" / "results"
    shown = (DOCS / "images" / "fine_tuning.svg").read_text().partition("</desc>")[0]
    for name in PLOTTED:
        found = json.loads((results / f"attacks_mnist10k_torch_{name}.json").read_text())
        before = sum(found["before_bits"]) / len(found["before_bits"])
        left = (found["summary"][f"ftal-{rate}"]["mean_bits"] for rate in ("0.01", "0.05", "0.1"))
        assert ": " + ", ".join(f"{bits:.0f}" for bits in (before, *left)) in shown, name
        captions = " ".join(page("experiments.md").split())
        drawn = f"Measured {found['date']}, drawn by `python benchmarks/experiments_picture.py`."
        assert captions.count(drawn) == 2


def test_the_reference_of_the_command_line_is_that_of_the_command_line() -> None:
    """``python docs/scripts/cli_reference.py`` writes it anew."""
    script = DOCS / "scripts" / "cli_reference.py"
    program = f"import runpy; print(runpy.run_path({str(script)!r})['cli_reference'](), end='')"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == page("reference/cli.md")


def test_the_exit_codes_are_those_of_the_errors() -> None:
    text = page("reference/exit-codes.md")
    for name, error in vars(errors).items():
        if isinstance(error, type) and name != "WmxError":
            (row,) = re.findall(rf"^\| (\d+) \|.*`{name}`.*\|$", text, flags=re.MULTILINE)
            assert int(row) == error.exit_code


def test_the_python_reference_names_what_exists() -> None:
    for name in re.findall(r"^::: (\S+)$", page("reference/api.md"), flags=re.MULTILINE):
        module, _, last = name.rpartition(".")
        above = home_of(module)
        assert home_of(name) or (above and _defines(above, last)), name


def imported(program: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for all that a program imports from the project."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and re.match(r"_?wmx", node.module or ""):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_what_a_page_imports_is_there(path: Path) -> None:
    """Of the programs that are run, and of the parts that are not."""
    text = path.read_text()
    for program in blocks(text, "python") + blocks(text, "py"):
        for module, name in imported(program):
            home = home_of(module)
            assert home, f"{module} of {path.name}"
            assert re.search(rf"\b{name}\b", home.read_text()), f"{module}.{name} of {path.name}"


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_the_sources_that_a_page_names_are_there(path: Path) -> None:
    text = path.read_text()
    for file in re.findall(r"`((?:wmx|adapters|tests|benchmarks)/[\w./-]+)`", text):
        assert (ROOT / file).exists(), file
    for name in re.findall(r"`(wmx(?:_\w+)?(?:\.[a-z]\w*)+)", text):
        if name == "wmx.adapters":  # a group of entry points
            continue
        *module, last = name.split(".")
        above = home_of(".".join(module)) or home_of(".".join(module[:-1]))
        assert home_of(name) or (above and last in above.read_text()), name


def home_of(module: str) -> Path | None:
    """Return the file of one of the project's modules, or ``None`` if there is no such module."""
    for folder in (ROOT, ROOT / "adapters"):
        place = folder.joinpath(*module.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if module and file.exists():
                return file
    return None


def _defines(home: Path, name: str) -> bool:
    return bool(re.search(rf"^(class|def) {name}\b", home.read_text(), flags=re.MULTILINE))
