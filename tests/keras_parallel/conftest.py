"""Keras on JAX over eight devices of the host, in a process of its own: both are set at import."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

from collections.abc import Iterator

import jax
import keras
import numpy as np
import pytest
from support.fixed import fixed_watermark, normalised_digits

from wmx import Watermark

assert keras.backend.backend() == "jax"
assert len(jax.devices()) == 8


@pytest.fixture
def over_devices() -> Iterator[keras.distribution.DataParallel]:
    """Data parallel training over all devices, for the test alone."""
    distribution = keras.distribution.DataParallel()
    with distribution.scope():
        yield distribution


@pytest.fixture(scope="session")
def watermark() -> Watermark:
    """Over scikit-learn's digits."""
    return fixed_watermark()


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,700 real digits, normalised as the watermark says."""
    return normalised_digits(1700)
