"""Every random number of a run hangs on its seed and a count, never on what ran before."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(seed: int, number: int, purpose: str) -> int:
    """Return a seed of its own, below 2**63, for each use, so that no two share a stream."""
    words = np.random.SeedSequence([seed, number, *purpose.encode()]).generate_state(2)
    return int(words[0]) << 31 | int(words[1]) >> 1


@contextmanager
def own_random_state(device: torch.device, seed: int) -> Iterator[None]:
    """Seed PyTorch's global generators for the block (weights, dropout), and restore them after."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
