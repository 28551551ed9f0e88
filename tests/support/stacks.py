"""Which framework a process tests: ``pytest --stack STACK``, one per process.

A stack that is asked for and cannot be imported is an error, never a skip.
"""

import importlib
import os
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


def add_option(parser: pytest.Parser) -> None:
    parser.addoption("--stack", choices=STACKS, help="the framework, and for Keras its backend")


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
