"""Keras by itself: ``pytest tests/keras --stack keras-BACKEND``, one backend per process."""

import numpy as np
import pytest
from support.fixed import fixed_watermark, normalised_digits
from support.stacks import load_kit

from wmx import Watermark


def pytest_configure(config: pytest.Config) -> None:
    load_kit(config, "keras-")


@pytest.fixture(scope="session")
def watermark() -> Watermark:
    """Over scikit-learn's digits."""
    return fixed_watermark()


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """600 real digits, normalised as the watermark says."""
    return normalised_digits(600)
