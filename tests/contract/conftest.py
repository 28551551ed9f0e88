"""The contract of every adapter: ``pytest tests/contract --stack STACK``, one per process."""

from typing import Any

import numpy as np
import pytest
from support.fixed import fixed_watermark, normalised_digits
from support.stacks import KIT, load_kit

from wmx import Watermark


def pytest_configure(config: pytest.Config) -> None:
    load_kit(config)


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
    return fixed_watermark()


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,700 real digits, normalised as the watermark says, channels last."""
    return normalised_digits(1700)
