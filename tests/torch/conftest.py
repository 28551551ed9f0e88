"""Fixtures for the PyTorch adapter.  A missing PyTorch is an error here, never a skip."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from support.fixed import fixed_watermark
from torch import nn
from torch.utils.data import TensorDataset

from wmx import Watermark

torch.set_num_threads(1)  # one process per core runs the tests; and repeatable to the bit


@pytest.fixture(scope="session")
def watermark() -> Watermark:
    """Over scikit-learn's digits."""
    return fixed_watermark()


@pytest.fixture(scope="session")
def digits() -> TensorDataset:
    """All 1,797 real digits, normalised as the watermark says."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16 - 0.3) / 0.4
    return TensorDataset(images, torch.tensor(bunch.target))


@pytest.fixture
def model() -> nn.Module:
    """A small network with BatchNorm and dropout, of mixed modes, untrained."""
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    network = small_network()
    torch.set_rng_state(generator_state)
    network.train()
    network[1].eval()  # a frozen BatchNorm, as in fine-tuning
    return network


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(16 * 64, 10),
    )


@pytest.fixture
def unchanged_random_state() -> Iterator[None]:
    """The test may not move any global random stream."""
    before = (torch.get_rng_state(), np.random.get_state(), random.getstate())  # noqa: NPY002
    yield
    after = (torch.get_rng_state(), np.random.get_state(), random.getstate())  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert str(before[1]) == str(after[1])
    assert before[2] == after[2]
