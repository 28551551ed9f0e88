"""The README and the guides are true: their commands and PyTorch programs run as they stand."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import documents
import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot
from torch.utils.data import TensorDataset

from wmx import Watermark

README = documents.README.read_text()
FIRST = 2  # commands with which the README and the tutorial begin: a key, and a training
SCAN = "how-to/scan.md"
TRAINED = "how-to/fine-tuned.md"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first commands were run; its store is beside ``out``."""
    folder = tmp_path_factory.mktemp("trained")
    documents.run_commands(documents.commands(README)[:FIRST], folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, for one page."""
    copy = tmp_path / "folder"
    shutil.copytree(trained, copy)
    shutil.copy(copy / "store" / "owner.pem", copy / "out.pem")
    shutil.copy(copy / "out" / "model.onnx", copy / "suspect.onnx")
    yield copy
    shutil.rmtree(copy)


def test_the_tutorial_begins_as_the_readme_does() -> None:
    tutorial = documents.commands(documents.page("tutorial.md"))
    assert tutorial[:FIRST] == documents.commands(README)[:FIRST]


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_the_rest_of_its_commands_work(name: str, folder: Path) -> None:
    lines = documents.commands((documents.ROOT / name).read_text())[FIRST:]
    assert len(lines) >= 5
    documents.run_commands(lines, folder)


def trained_without_a_mark(folder: Path) -> None:
    """Lay down what the program about trained models has by its middle: network and weights."""
    program = documents.blocks(documents.page(TRAINED), "python")[0]
    first, found, _ = program.partition("# from here on")
    assert found
    documents.run_program(first, folder)
    network = first.partition("def network")[2].partition("trained = ")[0]
    (folder / "my_network.py").write_text(f"import torch\n\n\ndef network{network}")


@pytest.mark.parametrize("name", documents.WALKS)
def test_the_commands_of_a_guide_work(name: str, folder: Path) -> None:
    if name == TRAINED:
        trained_without_a_mark(folder)
    documents.run_commands(documents.walk(documents.page(name)), folder)


PROGRAMS = [
    pytest.param(program, proof, id=name)
    for name, (program, proof) in documents.programs_of("torch").items()
    if not name.startswith(SCAN)
]


def test_every_program_of_this_suite_is_run() -> None:
    suites = [suite for found in documents.PROGRAMS.values() for suite in found]
    assert len(PROGRAMS) + 1 == suites.count("torch")  # and the one that scans, below


@pytest.mark.parametrize("runs", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("program", "proof"), PROGRAMS)
def test_a_program_marks_a_model(program: str, proof: str, runs: int, tmp_path: Path) -> None:
    documents.check_marks(program, proof, tmp_path, runs=runs)


def models_to_scan(folder: Path) -> None:
    """Lay down a marked model, and a file that is no model."""
    models = folder / "models"
    models.mkdir()
    shutil.copy(folder / "suspect.onnx", models / "a.onnx")
    (models / "broken.onnx").write_bytes(b"no model")


def test_the_program_that_scans_tells_the_models_apart(folder: Path) -> None:
    models_to_scan(folder)
    (program,) = documents.blocks(documents.page(SCAN), "python")
    first, second = documents.run_program(program, folder).splitlines()
    assert first.startswith("a.onnx MINE 32")
    assert second.startswith("broken.onnx no verdict: ")


def test_the_loop_that_scans_tells_the_models_apart(folder: Path) -> None:
    models_to_scan(folder)
    (loop,) = documents.blocks(documents.page(SCAN), "bash")
    (folder / "scan.sh").write_text(loop)
    documents.run_commands(["bash scan.sh > found"], folder)
    assert (folder / "found").read_text().splitlines() == [
        "MINE       models/a.onnx",
        "COULD NOT  models/broken.onnx",
    ]


@pytest.mark.parametrize("side", ["before", "after"])
def test_both_sides_of_the_diff_run(
    side: str, digits: TensorDataset, watermark: Watermark, model: nn.Module
) -> None:
    (diff,) = documents.blocks(README, "diff")
    drop = "+" if side == "before" else "-"
    lines = [line[1:] for line in diff.splitlines() if not line.startswith(drop)]
    if side == "before":
        lines.remove("        step += 1")
    names = {
        "DataLoader": torch.utils.data.DataLoader,
        "cross_entropy": torch.nn.functional.cross_entropy,
        "train_set": digits,
        "watermark": watermark,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
        "epochs": 1,
        "step": 0,
        "steps": 18,
    }
    exec("\n".join(lines), names)
    sizes = {len(x) for x, _ in names["loader"]}
    assert sizes == ({100, 97} if side == "before" else {104, 101})


def test_the_guide_has_the_diff_of_the_readme() -> None:
    guide = documents.blocks(documents.page("how-to/pytorch.md"), "diff")
    assert guide == documents.blocks(README, "diff")


def test_the_parts_for_mixup_and_for_resuming_fit_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = documents.page("how-to/pytorch.md")
    mixing, saving, resuming = documents.blocks(text, "py")
    before, _, rest = documents.blocks(text, "python")[0].partition("epochs, step = 12, 0\n")
    loop = rest.partition("export(")[0]
    head, _, body = loop.partition("\n")
    assert head == "for epoch in range(epochs):"

    def mixup(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        labels = one_hot(y, 10).float()
        return (x + x.flip(0)) / 2, (labels + labels.flip(0)) / 2

    first = "        optimizer.zero_grad()\n"
    assert first in body
    mixed = body.replace(first, indent(mixing, " " * 8) + first)
    names = {"mixup": mixup, "one_hot": one_hot}
    exec(f"{before}epochs, step = 1, 0\n{head}\n{mixed}\n{saving}", names)
    assert names["step"] == 18
    assert [row.tolist() for row in names["y"][-4:]] == [
        row.tolist() for row in one_hot(names["y"][-4:].argmax(1), 10).float()
    ]

    again: dict[str, object] = {}
    exec(f"{before}epochs = 2\n{resuming.replace('    ...  # as before', body)}", again)
    assert again["step"] == 36
    assert again["watermark"].claim == names["watermark"].claim  # type: ignore[attr-defined]
