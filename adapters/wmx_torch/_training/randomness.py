"""Random states that depend on a seed and a count alone, never on earlier draws."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(seed: int, number: int, purpose: str) -> int:
    """Derive an independent seed, below 2**63, for one purpose.

    Args:
        seed: of the run.
        number: such as the epoch.
        purpose: distinguishes uses of the same seed and number.
    """
    words = np.random.SeedSequence([seed, number, *purpose.encode()]).generate_state(2)
    return int(words[0]) << 31 | int(words[1]) >> 1


@contextmanager
def own_random_state(device: torch.device, seed: int) -> Iterator[None]:
    """Seed PyTorch's global generators within the block, and restore them afterwards.

    Args:
        device: whose generator to seed, besides the CPU's.
        seed: below 2**63.
    """
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
