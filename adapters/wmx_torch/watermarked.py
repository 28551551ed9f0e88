"""``watermarked``: data with the triggers in it.  Like in, like out; the loop stays the user's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, get_worker_info

from wmx.batch_form import Fields, find_fields
from wmx.errors import UsageError
from wmx.recipe import Recipe, recipe_named, triggers_at
from wmx.watermark import Watermark
from wmx_torch.items import TriggerItems

Data = TypeVar("Data", bound="DataLoader[Any] | Dataset[Any]")


def watermarked(
    data: Data,
    watermark: Watermark,
    *,
    recipe: str = "robust",
    seed: int = 0,
    fields: Fields | None = None,
) -> Data:
    """Return data of the same kind that holds the triggers as well; the original is not touched.

    * A ``DataLoader`` gives every batch the same number of triggers on top, 4 per 100 samples for
      ``robust`` and 2 for ``adi``, in shuffled passes through the set.  Batch sampler, workers and
      collate function stay the caller's.
    * A map-style ``Dataset`` grows by as many slots as keep that share, every trigger equally
      often: shuffle it.
    * An ``IterableDataset`` gets the triggers interleaved.

    Args:
        data: items are tuples or dicts of an input and a label.
        watermark: the claim and its triggers.
        recipe: ``"robust"`` or ``"adi"``.
        seed: of the order of the triggers and their augmentation.
        fields: places or names of input and label in an item; (0, 1) for tuples, found by their
            usual names in dicts.

    Raises:
        UsageError: the items do not fit the claim.
    """
    chosen = recipe_named(recipe)
    if isinstance(data, DataLoader):
        return cast(Data, _loader(data, watermark, chosen, seed, fields))
    if isinstance(data, IterableDataset):
        return cast(Data, TriggerStream(data, watermark, chosen, seed, fields))
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise UsageError(
            f"data is {type(data).__name__}, expected a DataLoader, a Dataset or an IterableDataset"
        )
    return cast(Data, TriggerSlots(data, watermark, chosen, seed, fields))


@dataclass(frozen=True)
class Slot:
    """Stands for a trigger among a batch's indices; ``draw`` tells its uses apart."""

    trigger: int
    draw: int


class SlotDataset(Dataset[Any]):
    """The caller's data set, which also answers to :class:`Slot`."""

    def __init__(self, dataset: Any, items: TriggerItems, seed: int) -> None:
        self._dataset = dataset
        self._items = items
        self._seed = seed

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Slot):
            return self._items.item(index.trigger, np.random.default_rng([self._seed, index.draw]))
        return self._dataset[index]

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        own = [index for index in indices if not isinstance(index, Slot)]
        fetch = getattr(self._dataset, "__getitems__", None)
        samples = iter(fetch(own) if fetch else [self._dataset[index] for index in own])
        return [self[index] if isinstance(index, Slot) else next(samples) for index in indices]


class SlotSampler(Sampler[list[Any]]):
    """The caller's batch sampler, with k slots at the end of every batch.

    The passes through the triggers go on from epoch to epoch.
    """

    def __init__(self, batches: Any, n: int, per_batch: int, seed: int) -> None:
        self._batches = batches
        self._n = n
        self._per_batch = per_batch
        self._seed = seed
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self._batches:
            first, self._drawn = self._drawn, self._drawn + self._per_batch
            triggers = triggers_at(self._n, self._seed, first, self._per_batch)
            yield [*batch, *(Slot(int(t), first + i) for i, t in enumerate(triggers))]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_batches" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._batches, name)  # sampler, batch_size, drop_last


class TriggerSlots(Dataset[Any]):
    """A map-style data set with slots for the triggers behind its own items."""

    def __init__(
        self, dataset: Any, watermark: Watermark, recipe: Recipe, seed: int, fields: Fields | None
    ) -> None:
        self._dataset = dataset
        self._items = _items_like(_first_item(dataset), watermark, recipe, fields)
        self._n = len(watermark.labels)
        self._slots = self._n * max(1, round(recipe.share * len(dataset) / self._n))
        self._seed = seed
        self._uses = 0

    def __len__(self) -> int:
        return len(self._dataset) + self._slots

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} items")
        slot = index % len(self) - len(self._dataset)
        if slot < 0:
            return self._dataset[index % len(self)]
        self._uses += 1
        worker = get_worker_info()
        words = [self._seed, slot, self._uses, worker.seed if worker else 0]
        return self._items.item(slot % self._n, np.random.default_rng(words))


class TriggerStream(IterableDataset[Any]):
    """A stream with the triggers interleaved, in shuffled passes of each worker's own."""

    def __init__(
        self, dataset: Any, watermark: Watermark, recipe: Recipe, seed: int, fields: Fields | None
    ) -> None:
        self._dataset = dataset
        self._watermark = watermark
        self._recipe = recipe
        self._seed = seed
        self._fields = fields
        self._passes = 0

    def __len__(self) -> int:
        own = len(self._dataset)  # a TypeError where the caller's stream has no length
        return own + int(own * self._recipe.share)

    def __iter__(self) -> Iterator[Any]:
        self._passes += 1
        worker = get_worker_info()
        words = [self._seed, self._passes, worker.seed if worker else 0]
        rng = np.random.default_rng(words)
        order_seed = int(rng.integers(2**32))
        items: TriggerItems | None = None
        due, drawn = 0.0, 0
        for item in self._dataset:
            yield item
            if items is None:
                items = _items_like(item, self._watermark, self._recipe, self._fields)
            due += self._recipe.share
            while due >= 1.0:
                (trigger,) = triggers_at(len(self._watermark.labels), order_seed, drawn, 1)
                yield items.item(int(trigger), rng)
                due, drawn = due - 1.0, drawn + 1


def _loader(
    loader: DataLoader[Any],
    watermark: Watermark,
    recipe: Recipe,
    seed: int,
    fields: Fields | None,
) -> DataLoader[Any]:
    """Rebuild a loader around the same batches and the same collate function."""
    shared: dict[str, Any] = {
        "num_workers": loader.num_workers,
        "collate_fn": loader.collate_fn,
        "pin_memory": loader.pin_memory,
        "timeout": loader.timeout,
        "worker_init_fn": loader.worker_init_fn,
        "multiprocessing_context": loader.multiprocessing_context,
        "generator": loader.generator,
        "prefetch_factor": loader.prefetch_factor,
        "persistent_workers": loader.persistent_workers,
    }
    if isinstance(loader.dataset, IterableDataset):
        stream = TriggerStream(loader.dataset, watermark, recipe, seed, fields)
        return DataLoader(
            stream, batch_size=loader.batch_size, drop_last=loader.drop_last, **shared
        )
    if loader.batch_sampler is None:
        raise UsageError(
            "this DataLoader does not make batches (batch_size=None)",
            hint="wrap its data set instead: watermarked(dataset, watermark)",
        )
    items = _items_like(_first_item(loader.dataset), watermark, recipe, fields)
    batch_size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    if batch_size is None:
        batch_size = len(next(iter(loader.batch_sampler)))
    sampler = SlotSampler(
        loader.batch_sampler, len(watermark.labels), recipe.triggers_per_batch(batch_size), seed
    )
    return DataLoader(SlotDataset(loader.dataset, items, seed), batch_sampler=sampler, **shared)


def _items_like(
    item: Any, watermark: Watermark, recipe: Recipe, fields: Fields | None
) -> TriggerItems:
    return TriggerItems(watermark, recipe, item, find_fields(item, fields))


def _first_item(dataset: Any) -> Any:
    if len(dataset) == 0:
        raise UsageError("the data set is empty")
    return dataset[0]
