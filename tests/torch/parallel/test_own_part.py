"""A loader with a ``DistributedSampler`` takes its process' part of every global batch."""

from typing import Any

import numpy as np
import pytest
import torch
from digit_data import own_stream, shuffled
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
from two_processes import exact_triggers

from wmx import Watermark
from wmx.errors import UsageError
from wmx_torch import watermarked

pytestmark = pytest.mark.usefixtures("unchanged_random_state")


def loaders(digits: TensorDataset, processes: int, size: int, **options: Any) -> list[Any]:
    """The loader of each process."""
    return [
        DataLoader(
            digits,
            batch_size=size,
            sampler=DistributedSampler(digits, num_replicas=processes, rank=rank, drop_last=True),
            generator=own_stream(),
            **options,
        )
        for rank in range(processes)
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_go_through_the_triggers_together(
    digits: TensorDataset, watermark: Watermark, workers: int
) -> None:
    marked = [
        watermarked(loader, watermark, recipe="adi")
        for loader in loaders(digits, 3, 40, num_workers=workers)
    ]
    row: list[int] = []
    for _ in range(8):
        for batches in zip(*marked, strict=True):
            # the last batch of an epoch is a row shorter
            assert [len(x) for x, _ in batches] in ([41, 41, 40], [40, 40, 39])
            for x, _ in batches:
                row += [number for number in exact_triggers(x, watermark) if number >= 0]
    assert len(row) == 8 * 15 * 2  # 2 % of 120 rows
    assert sorted(row[:100]) == sorted(row[100:200]) == list(range(100))


def test_small_batches_do_not_raise_the_share(digits: TensorDataset, watermark: Watermark) -> None:
    marked = [watermarked(loader, watermark) for loader in loaders(digits, 8, 8)]
    sizes = [[len(x) for x, _ in loader] for loader in marked]
    assert {tuple(one[:28]) for one in sizes} == {(9,) * 28, (8,) * 28}  # each of one size
    assert sum(one[0] for one in sizes) == 64 + 3  # 4 % of 64 are 3


def test_two_processes_vary_a_trigger_differently(
    digits: TensorDataset, watermark: Watermark
) -> None:
    marked = [watermarked(loader, watermark) for loader in loaders(digits, 2, 50)]
    shown = torch.cat([x[50:] for loader in marked for _ in range(5) for x, _ in loader])
    assert len(np.unique(shown.flatten(1).numpy(), axis=0)) == len(shown)


def test_the_callers_sampler_is_the_marked_loaders(
    digits: TensorDataset, watermark: Watermark
) -> None:
    class OwnLoader(DataLoader[Any]):
        pass

    sampler = DistributedSampler(digits, num_replicas=2, rank=1)
    loader = OwnLoader(digits, batch_size=50, sampler=sampler, generator=own_stream())
    marked = watermarked(loader, watermark)
    assert isinstance(marked, OwnLoader)
    assert (marked.batch_size, marked.drop_last) == (50, False)
    assert marked.sampler is sampler
    first = next(iter(marked))[0]
    assert torch.equal(next(iter(marked))[0][:50], first[:50])
    marked.sampler.set_epoch(1)
    assert not torch.equal(next(iter(marked))[0][:50], first[:50])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_is_built_anew_around_the_data_set_still_shows_every_trigger(
    digits: TensorDataset, watermark: Watermark, workers: int
) -> None:
    marked = watermarked(shuffled(digits), watermark, recipe="adi")
    anew = shuffled(marked.dataset, num_workers=workers, persistent_workers=workers > 0)
    x = torch.cat([x for _ in range(3) for x, _ in anew])
    row = [number for number in exact_triggers(x, watermark) if number >= 0]
    assert sorted(row[:100]) == list(range(100))


def test_a_loader_is_marked_once(digits: TensorDataset, watermark: Watermark) -> None:
    with pytest.raises(UsageError, match="holds triggers already"):
        watermarked(watermarked(shuffled(digits), watermark), watermark)
    first = watermarked(digits, watermark, recipe="adi")
    both = watermarked(shuffled(first, drop_last=True), watermark, recipe="adi")
    assert {len(x) for x, _ in both} == {102}
