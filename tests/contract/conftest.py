"""The contract that every adapter keeps: ``pytest tests/contract --stack STACK``, one per process.

A stack that is asked for and cannot be imported is an error, never a skip.
"""

import importlib
import os
from typing import Any

import numpy as np
import pytest

from wmx import OwnerKey, Watermark

STACKS = {
    "torch": "torch_kit",
    "jax": "jax_kit",
    "keras-tensorflow": "keras_kit",
    "keras-jax": "keras_kit",
    "keras-torch": "keras_kit",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stack", choices=STACKS, help="the framework, and for Keras its backend")


def pytest_configure(config: pytest.Config) -> None:
    stack = config.getoption("--stack")
    if stack is None:
        raise pytest.UsageError(f"say which framework: --stack {{{','.join(STACKS)}}}")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if stack.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = stack.removeprefix("keras-")
    config.stash[KIT] = importlib.import_module(f"kits.{STACKS[stack]}")


KIT = pytest.StashKey[Any]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "form" in metafunc.fixturenames:
        metafunc.parametrize("form", metafunc.config.stash[KIT].FORMS)


@pytest.fixture(scope="session")
def kit(request: pytest.FixtureRequest) -> Any:
    """What the tests need of the framework."""
    return request.config.stash[KIT]


@pytest.fixture(scope="session")
def watermark() -> Watermark:
    """Over scikit-learn's digits."""
    return Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10, mean=0.3, std=0.4)


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,700 real digits, normalised as the watermark says, channels last."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = ((bunch.images / 16 - 0.3) / 0.4).astype(np.float32)[:1700, :, :, None]
    return x, bunch.target[:1700].astype(np.int64)
