"""The README is true: every command and every block of code in it is run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from wmx import Watermark

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EMBED = (ROOT / "docs" / "embed.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    lines = "".join(blocks(text, "console")).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WMX_HOME": str(tmp_path / "store"),
        "OMP_NUM_THREADS": "1",
    }


def test_there_are_no_other_kinds_of_blocks() -> None:
    languages = set(re.findall(r"^```(\w+)$", README, flags=re.MULTILINE))
    assert languages == {"sh", "console", "diff", "python"}


def test_every_command_line_works(tmp_path: Path, environment: dict[str, str]) -> None:
    assert len(commands(README)) >= 8
    for command in commands(README):
        done = subprocess.run(
            command,
            check=False,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout.startswith("{") == ("--json" in command)


SECTIONS = (
    "In your own PyTorch loop",
    "In Lightning",
    "With the Hugging Face Trainer",
    "In Keras",
    "In JAX with Flax",
    "With scikit-learn, LightGBM and XGBoost",
)


def test_every_python_block_is_in_one_of_the_sections() -> None:
    assert len(blocks(README, "python")) == len(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_python_block_works(
    section: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    (text,) = re.findall(rf"^## {section}\n(.*?)^## ", README, flags=re.MULTILINE | re.DOTALL)
    (block,) = blocks(text, "python")
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:wmx", "-c", block],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    verified, hits, bits = done.stdout.splitlines()[-1].split()
    assert verified == "True"
    assert int(hits) >= 95
    assert float(bits) > 250


@pytest.mark.parametrize("side", ["before", "after"])
def test_both_sides_of_the_diff_run(
    side: str, digits: TensorDataset, watermark: Watermark, model: nn.Module
) -> None:
    (diff,) = blocks(README, "diff")
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


def test_the_make_targets_are_there() -> None:
    targets = re.findall(r"^make (\w+)", "".join(blocks(README, "sh")), flags=re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
    run = (ROOT / ".ci" / "run").read_text()
    assert "make test" in run


def test_the_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_figures_are_those_that_were_measured() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "redraw.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    survival, figures, frameworks = done.stdout.strip().split("\n\n")
    assert survival.count("\n") >= 10
    assert survival in README
    assert figures.count("\n") >= 8
    assert figures in README
    assert frameworks.count("\n") == 6
    assert frameworks in README
