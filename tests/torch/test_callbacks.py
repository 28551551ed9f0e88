"""What holds for the callbacks of Lightning and of the Hugging Face Trainer alike."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from wmx import Watermark
from wmx.errors import UsageError
from wmx_torch._callbacks import Hardening

LAZY = """
import sys
import wmx_torch
print(sorted({"lightning", "pytorch_lightning", "transformers", "accelerate"} & set(sys.modules)))
"""

MISSING = """
import importlib.abc, sys
from wmx.errors import MissingExtraError
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
for case in sys.argv[1:]:
    package, module = case.split("=")
    try:
        __import__(module)
    except MissingExtraError as error:
        print(error, error.hint)
"""
# as they are imported: one that was imported already would not be missed
TOOLS = {"lightning": "lightning", "accelerate": "huggingface", "transformers": "huggingface"}


def printed(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_adapter_loads_no_training_tool() -> None:
    assert printed(LAZY) == "[]"


def test_a_missing_tool_gives_the_pip_hint() -> None:
    cases = [f"{package}=wmx_torch.{extra}" for package, extra in TOOLS.items()]
    assert printed(MISSING, *cases).splitlines() == [
        f"{package} is not installed, and this needs it install the extra {extra} in a checkout of "
        f'wmx: pip install -c constraints.txt ".[{extra}]"'
        for package, extra in TOOLS.items()
    ]


def test_an_unknown_recipe_is_refused_before_training(watermark: Watermark) -> None:
    with pytest.raises(UsageError, match="recipe is 'rubost'"):
        Hardening(watermark, recipe="rubost")


def test_a_training_that_is_longer_than_expected_goes_on(
    model: nn.Module, watermark: Watermark
) -> None:
    """Trainers estimate their steps; at the end of the training the noise is at full strength."""

    def added(step: int, steps: float) -> torch.Tensor:
        model.zero_grad()
        Hardening(watermark)._harden(model, step, steps)
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    assert torch.equal(added(12, 10), added(12, 13))
    assert not torch.equal(added(12, 10), added(12, 100))


@pytest.mark.parametrize("steps", [-1, 0, float("inf")])
def test_a_training_without_an_end_is_refused_where_the_recipe_needs_one(
    model: nn.Module, watermark: Watermark, steps: float
) -> None:
    Hardening(watermark, recipe="adi")._harden(model, 0, steps)
    with pytest.raises(UsageError, match="number of training steps"):
        Hardening(watermark)._harden(model, 0, steps)
    assert all(p.grad is None for p in model.parameters())
