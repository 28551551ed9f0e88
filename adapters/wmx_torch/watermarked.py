"""``watermarked``: adds triggers to a data set or loader; the training loop stays the user's."""

from collections.abc import Iterator
from typing import Any, TypeVar, cast

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from wmx.errors import UsageError
from wmx.training.batch_structure import Fields, find_fields
from wmx.training.recipe import Recipe, recipe_with_triggers, triggers_at
from wmx.watermark import Watermark
from wmx_torch._items import TriggerItems
from wmx_torch._loader import first_item, loader_with, marked_loader
from wmx_torch._processes import Process, accelerate_is_in_charge, this_process

Data = TypeVar("Data", bound="DataLoader[Any] | Dataset[Any]")


def watermarked(
    data: Data,
    watermark: Watermark,
    *,
    recipe: str = "robust",
    seed: int = 0,
    fields: Fields | None = None,
) -> Data:
    """Return data of the same type with triggers added; the original is not changed.

    * A ``DataLoader`` appends the same number of triggers to every batch, 4 per 100 samples for
      ``robust`` and 2 for ``adi``, in shuffled passes over the triggers.  Samplers, workers and
      collate function stay the caller's.  Where several processes train one model, this is the
      share of the global batch, and each process determines its part from the
      ``DistributedSampler``, else from ``torch.distributed``; under accelerate mark the loader
      before ``prepare``.  The ``seed`` has to be the same in all processes.
    * A map-style ``Dataset`` gets triggers at its end, in the same share and each equally often:
      shuffle it.
    * An ``IterableDataset`` gets the triggers interleaved.

    Args:
        data: its items are tuples or dicts with an input and a label.
        watermark: the claim and its triggers.
        recipe: ``"robust"``, ``"brief"`` or ``"adi"``.
        seed: of the order of the triggers and of their augmentation.
        fields: indices or names of input and label in an item; by default (0, 1) for tuples, and
            the usual names for dicts.

    Raises:
        UsageError: the items do not fit the claim.
    """
    chosen = recipe_with_triggers(recipe)
    if isinstance(data, DataLoader):
        if not isinstance(data.dataset, IterableDataset):
            return cast(Data, marked_loader(data, watermark, chosen, seed, fields))
        stream = TriggerStream(data.dataset, watermark, chosen, seed, fields)
        return cast(Data, loader_with(data, dataset=stream))
    if isinstance(data, IterableDataset):
        return cast(Data, TriggerStream(data, watermark, chosen, seed, fields))
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise UsageError(
            f"data is {type(data).__name__}, expected a DataLoader, a Dataset or an IterableDataset"
        )
    return cast(Data, TriggerSlots(data, watermark, chosen, seed, fields))


class TriggerSlots(Dataset[Any]):
    """A map-style data set with triggers after its own items."""

    def __init__(
        self, dataset: Any, watermark: Watermark, recipe: Recipe, seed: int, fields: Fields | None
    ) -> None:
        self._dataset = dataset
        self._items = _items_like(first_item(dataset), watermark, recipe, fields)
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
    """An iterable data set with triggers interleaved, in shuffled passes per worker.

    Workers of different processes draw different passes, except under accelerate, where all
    processes read one stream and divide it.
    """

    def __init__(
        self, dataset: Any, watermark: Watermark, recipe: Recipe, seed: int, fields: Fields | None
    ) -> None:
        self._dataset = dataset
        self._watermark = watermark
        self._recipe = recipe
        self._seed = seed
        self._fields = fields
        # read here, since a worker process does not know it
        self._process = Process() if accelerate_is_in_charge() else this_process()
        self._passes = 0

    def __len__(self) -> int:
        own = len(self._dataset)  # a TypeError where the caller's stream has no length
        return own + int(own * self._recipe.share)

    def __iter__(self) -> Iterator[Any]:
        self._passes += 1
        worker = get_worker_info()
        words = [self._seed, self._passes, worker.seed if worker else 0, self._process.number]
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


def _items_like(
    item: Any, watermark: Watermark, recipe: Recipe, fields: Fields | None
) -> TriggerItems:
    return TriggerItems(watermark, recipe, item, find_fields(item, fields))
