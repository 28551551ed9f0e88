"""Which one this is of the processes that train a model together."""

import sys
from dataclasses import dataclass
from typing import Any

from torch import distributed


@dataclass(frozen=True)
class Process:
    """One of ``count`` processes that share the batches of one training, from 0."""

    number: int = 0
    count: int = 1


def this_process() -> Process:
    """Return what ``torch.distributed`` says; the only one where it is not initialised."""
    if distributed.is_available() and distributed.is_initialized():
        return Process(distributed.get_rank(), distributed.get_world_size())
    return Process()


def process_of_sampler(batches: Any) -> Process | None:
    """Return whose a batch sampler's batches are, if it draws them for one process.

    ``DistributedSampler`` and its kin say so, whether they make batches themselves or stand behind
    them.  It need not be what ``torch.distributed`` says: processes that hold parts of one model
    see the same samples.
    """
    for sampler in (batches, getattr(batches, "sampler", None)):
        number, count = getattr(sampler, "rank", None), getattr(sampler, "num_replicas", None)
        if isinstance(number, int) and isinstance(count, int):
            return Process(number, count)
    return None


def accelerate_is_in_charge() -> bool:
    """Say whether an ``Accelerator`` runs here: its ``prepare`` will deal the batches out."""
    state = sys.modules.get("accelerate.state")
    return state is not None and state.is_initialized()
