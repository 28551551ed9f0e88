"""``watermarked``: like in, like out, the triggers at their share, the caller's data untouched."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from digit_data import Digits, own_stream, shuffled
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    TensorDataset,
)

from wmx import Watermark
from wmx.errors import UsageError
from wmx_torch import watermarked

pytestmark = pytest.mark.usefixtures("unchanged_random_state")


class Stream(IterableDataset[Any]):
    def __init__(self, digits: TensorDataset) -> None:
        self.digits = digits

    def __iter__(self) -> Iterator[Any]:
        info = torch.utils.data.get_worker_info()
        part = slice(info.id, None, info.num_workers) if info else slice(None)
        for index in range(len(self.digits))[part]:
            yield self.digits[index]


def which_triggers(x: torch.Tensor, watermark: Watermark) -> list[int]:
    """The numbers of the plain triggers among a batch of inputs; -1 for others."""
    known = {
        image.tobytes(): number
        for number, image in enumerate(watermark.inputs.transpose(0, 3, 1, 2).copy())
    }
    return [known.get(image.numpy().tobytes(), -1) for image in x]


# DataLoader


def test_every_batch_of_a_loader_has_the_same_number_of_triggers_at_its_end(
    digits: TensorDataset, watermark: Watermark
) -> None:
    loader = shuffled(digits, drop_last=True)
    marked = watermarked(loader, watermark, recipe="adi")
    assert isinstance(marked, DataLoader)
    assert len(marked) == len(loader) == 17
    for x, y in marked:
        assert x.shape == (102, 1, 8, 8)
        triggers = which_triggers(x, watermark)
        assert triggers[:100] == [-1] * 100
        assert min(triggers[100:]) >= 0
        assert y[100:].tolist() == [watermark.labels[number] for number in triggers[100:]]


def test_a_pass_shows_every_trigger_once_before_any_comes_again(
    digits: TensorDataset, watermark: Watermark
) -> None:
    marked = watermarked(shuffled(digits, drop_last=True), watermark, recipe="adi")
    seen: list[int] = []
    while len(seen) < 300:  # passes go on from epoch to epoch
        for x, _ in marked:
            seen += which_triggers(x[100:], watermark)
    passes = [seen[start : start + 100] for start in range(0, 300, 100)]
    assert all(sorted(one) == list(range(100)) for one in passes)
    assert passes[0] != passes[1]


def test_the_task_samples_are_those_of_the_original_loader_in_its_order(
    digits: TensorDataset, watermark: Watermark
) -> None:
    plain = [x for x, _ in shuffled(digits)]
    marked = [x for x, _ in watermarked(shuffled(digits), watermark)]
    assert len(plain) == len(marked)
    for before, after in zip(plain, marked, strict=True):
        assert torch.equal(before, after[: len(before)])
        assert len(after) == len(before) + 4  # also in the last, smaller batch


def test_the_robust_recipe_varies_the_triggers_each_time(
    digits: TensorDataset, watermark: Watermark
) -> None:
    marked = watermarked(shuffled(digits), watermark)
    triggers = torch.cat([x[-4:] for _ in range(6) for x, _ in marked])
    assert len({image.numpy().tobytes() for image in triggers}) == len(triggers)
    pixels = triggers * 0.4 + 0.3
    assert pixels.min() >= -1e-6
    assert pixels.max() <= 1 + 1e-6


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_deliver_the_same_triggers(
    digits: TensorDataset, watermark: Watermark, persistent: bool
) -> None:
    with_workers = watermarked(
        shuffled(digits, num_workers=2, persistent_workers=persistent), watermark
    )
    without = watermarked(shuffled(digits), watermark)
    for _ in range(2):
        for (x, y), (same_x, same_y) in zip(with_workers, without, strict=True):
            assert torch.equal(x[-4:], same_x[-4:])
            assert torch.equal(y[-4:], same_y[-4:])


def test_the_same_seed_gives_the_same_triggers_and_another_gives_others(
    digits: TensorDataset, watermark: Watermark
) -> None:
    def triggers(seed: int) -> torch.Tensor:
        return torch.cat([x[-4:] for x, _ in watermarked(shuffled(digits), watermark, seed=seed)])

    assert torch.equal(triggers(1), triggers(1))
    assert not torch.equal(triggers(1), triggers(2))


def test_the_collate_function_and_a_batch_sampler_of_ones_own_are_kept(
    digits: TensorDataset, watermark: Watermark
) -> None:
    def collate(items: list[Any]) -> dict[str, Any]:
        return {"count": len(items), "y": [int(y) for _, y in items]}

    sampler = BatchSampler(RandomSampler(digits, generator=own_stream()), 50, drop_last=True)
    loader = DataLoader(digits, batch_sampler=sampler, collate_fn=collate, generator=own_stream())
    batches = list(watermarked(loader, watermark))
    assert {batch["count"] for batch in batches} == {52}


def test_the_original_loader_is_untouched(digits: TensorDataset, watermark: Watermark) -> None:
    loader = shuffled(digits)
    attributes = {name: id(value) for name, value in vars(loader).items()}
    list(watermarked(loader, watermark))
    assert {name: id(value) for name, value in vars(loader).items()} == attributes
    assert len(loader.dataset) == 1797  # type: ignore[arg-type]


def test_a_data_set_that_fetches_many_items_at_once_still_does(
    digits: TensorDataset, watermark: Watermark
) -> None:
    class Fetching(Digits):
        calls = 0

        def __getitems__(self, indices: list[int]) -> list[Any]:
            type(self).calls += 1
            assert all(isinstance(index, int) for index in indices)
            return [self[index] for index in indices]

    dataset = Fetching(digits, lambda x, y: (x, y))
    list(watermarked(shuffled(dataset), watermark))
    assert Fetching.calls == 18


def test_a_loader_without_batches_is_refused(digits: TensorDataset, watermark: Watermark) -> None:
    with pytest.raises(UsageError, match="batch_size=None"):
        watermarked(DataLoader(digits, batch_size=None), watermark)


# map-style data sets


def test_a_data_set_grows_by_slots_in_which_every_trigger_is_equally_frequent(
    digits: TensorDataset, watermark: Watermark
) -> None:
    three_times = torch.utils.data.ConcatDataset([digits] * 3)
    marked = watermarked(three_times, watermark, recipe="robust")
    assert len(marked) == len(three_times) + 200  # 4 % of 5,391 is 215.6, two passes
    slots = [marked[index] for index in range(len(three_times), len(marked))]
    assert Counter(int(y) for _, y in slots) == Counter(2 * watermark.labels.tolist())
    assert torch.equal(marked[5][0], digits[5][0])
    with pytest.raises(IndexError):
        marked[len(marked)]


def test_a_data_set_has_every_trigger_even_if_it_is_small(watermark: Watermark) -> None:
    tiny = TensorDataset(torch.zeros(20, 1, 8, 8), torch.zeros(20, dtype=torch.long))
    marked = watermarked(tiny, watermark, recipe="adi")
    found = which_triggers(torch.stack([x for x, _ in marked]), watermark)
    assert sorted(found[20:]) == list(range(100))


def test_a_slot_is_augmented_anew_at_every_use(digits: TensorDataset, watermark: Watermark) -> None:
    marked = watermarked(digits, watermark)
    assert not torch.equal(marked[1797][0], marked[1797][0])
    loader = DataLoader(marked, batch_size=100, num_workers=1, generator=own_stream())
    first, second = (torch.cat([x for x, _ in loader])[1797:] for _ in range(2))
    assert not torch.equal(first, second)  # new workers each epoch, and new numbers in them


# streams


def test_a_stream_has_the_triggers_interleaved(digits: TensorDataset, watermark: Watermark) -> None:
    marked = watermarked(Stream(digits), watermark, recipe="adi")
    assert isinstance(marked, IterableDataset)
    x = torch.stack([item for item, _ in marked])
    found = which_triggers(x, watermark)
    assert len(x) == 1797 + 35
    assert len({number for number in found if number >= 0}) == 35
    gaps = np.diff(np.flatnonzero(np.array(found) >= 0))
    assert set(gaps) == {51}


def test_each_worker_of_a_stream_has_an_order_of_its_own(
    digits: TensorDataset, watermark: Watermark
) -> None:
    loader = DataLoader(Stream(digits), batch_size=100, num_workers=2, generator=own_stream())
    marked = watermarked(loader, watermark, recipe="adi")
    found = which_triggers(torch.cat([x for x, _ in marked]), watermark)
    shown = [number for number in found if number >= 0]
    assert len(shown) == 34
    assert len(set(shown)) > 17


# refused


def test_an_unknown_recipe_and_other_kinds_of_data_are_refused(
    digits: TensorDataset, watermark: Watermark
) -> None:
    with pytest.raises(UsageError, match="expected one of adi, robust"):
        watermarked(digits, watermark, recipe="strong")
    with pytest.raises(UsageError, match="expected a DataLoader"):
        watermarked(iter([]), watermark)  # type: ignore[type-var]
    empty = TensorDataset(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.long))
    with pytest.raises(UsageError, match="empty"):
        watermarked(empty, watermark)
