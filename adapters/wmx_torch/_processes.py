"""Finding the rank of this process among those that train a model together."""

import sys
from dataclasses import dataclass
from typing import Any

from torch import distributed


@dataclass(frozen=True)
class Process:
    """Rank, from 0, among ``count`` processes that share the batches of one training."""

    number: int = 0
    count: int = 1


def this_process() -> Process:
    """Return this process's rank in ``torch.distributed``, or 0 of 1 if not initialized."""
    if distributed.is_available() and distributed.is_initialized():
        return Process(distributed.get_rank(), distributed.get_world_size())
    return Process()


def process_of_sampler(batches: Any) -> Process | None:
    """Return the process that a batch sampler draws batches for; ``None`` if it does not say.

    ``DistributedSampler`` and similar ones say so, as batch sampler or as its index sampler.  The
    rank can differ from that of ``torch.distributed``: processes that hold parts of one model see
    the same samples.
    """
    for sampler in (batches, getattr(batches, "sampler", None)):
        number, count = getattr(sampler, "rank", None), getattr(sampler, "num_replicas", None)
        if isinstance(number, int) and isinstance(count, int):
            return Process(number, count)
    return None


def accelerate_is_in_charge() -> bool:
    """Return whether accelerate is in use, whose ``prepare`` will distribute the batches."""
    state = sys.modules.get("accelerate.state")
    return state is not None and state.is_initialized()
