"""What a process tests beside the core: what was asked for, and nothing else.

A suite of one framework is asked for by its folder (``pytest tests/torch``) or by its stack
(``pytest --stack torch``), one per process; the browser by ``--browser``.  What was not asked for
is skipped, with the words that ask for it; what was asked for and is missing is an error, never a
skip.
"""

import importlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

STACKS = {
    "torch": "torch_kit",
    "jax": "jax_kit",
    "keras-tensorflow": "keras_kit",
    "keras-jax": "keras_kit",
    "keras-torch": "keras_kit",
}
KIT = pytest.StashKey[Any]()
TESTS = Path(__file__).parents[1]
SUITES = {  # folders under tests/ that need more than the core, and what asks for each
    "torch": "pytest tests/torch",
    "jax": "pytest tests/jax",
    "keras": "pytest tests/keras --stack keras-BACKEND",
    "keras_parallel": "pytest tests/keras_parallel",
    "sklearn": "pytest tests/sklearn",
    "contract": "pytest tests/contract --stack STACK",
    "strangers": "pytest tests/strangers",
    "mlserver": "make mlserver",
}


def add_options(parser: pytest.Parser) -> None:
    parser.addoption("--stack", choices=STACKS, help="the framework, and for Keras its backend")
    parser.addoption("--browser", action="store_true", help="look at pages in a browser, too")


class NotAskedFor(pytest.Collector):
    """A suite that is skipped without being imported."""

    def collect(self) -> Iterable[pytest.Item]:
        pytest.skip(f"not asked for: {SUITES[self.name]}")


def suite(path: Path, parent: pytest.Collector) -> NotAskedFor | None:
    """Return what stands for the folder of a suite that was not asked for.

    Args:
        path: of a folder that pytest comes to.
        parent: the collector that came to it.
    """
    if path.parent != TESTS or path.name not in SUITES:
        return None
    stack = parent.config.getoption("--stack")
    by_stack = stack is not None and path.name in ("contract", stack.partition("-")[0])
    if by_stack or parent.session.isinitpath(path, with_parents=True):
        return None
    return NotAskedFor.from_parent(parent, name=path.name)


def load_kit(config: pytest.Config, family: str = "") -> None:
    """Import the framework that was asked for, of those whose name begins with ``family``.

    What the framework reads when it is imported, its backend among it, is set before.
    """
    stacks = [stack for stack in STACKS if stack.startswith(family)]
    stack = config.getoption("--stack")
    if stack not in stacks:
        raise pytest.UsageError(f"say which framework: --stack {{{','.join(stacks)}}}")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if stack.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = stack.removeprefix("keras-")
    if KIT not in config.stash:
        config.stash[KIT] = importlib.import_module(f"support.kits.{STACKS[stack]}")
    assert stack == config.stash[KIT].STACK, "the framework was imported too early"
