"""Fixtures for the JAX adapter.  A missing JAX is an error here, never a skip."""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"  # before JAX is imported

import jax
import numpy as np
import pytest
from support.fixed import fixed_watermark, normalised_digits

from wmx import Watermark

assert len(jax.devices()) == 8


@pytest.fixture(scope="session")
def watermark() -> Watermark:
    """Over scikit-learn's digits."""
    return fixed_watermark()


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,700 real digits, normalised as the watermark says."""
    x, y = normalised_digits(1700)
    return x, y.astype(np.int32)
