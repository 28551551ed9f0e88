"""A ``DataLoader`` that appends the recipe's triggers to every batch, in one process or several.

A batch sampler yields the indices of a batch in the main process, and they may be distributed over
several processes; a data set fetches the items, often in a worker.  So the sampler numbers the
batches, and the data set appends the triggers to what it fetches.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from wmx.errors import UsageError
from wmx.training.batch_structure import Fields, find_fields
from wmx.training.recipe import Recipe, part_of, triggers_at
from wmx.watermark import Watermark
from wmx_torch._items import TriggerItems
from wmx_torch._processes import accelerate_is_in_charge, process_of_sampler, this_process


def marked_loader(
    loader: DataLoader[Any], watermark: Watermark, recipe: Recipe, seed: int, fields: Fields | None
) -> DataLoader[Any]:
    """Return a copy of a loader that appends triggers to every batch.

    Args:
        loader: of a map-style data set.
        watermark: gives the triggers.
        recipe: decides how many.
        seed: of their order and augmentation.
        fields: indices or names of input and label in an item.

    Raises:
        UsageError: the loader makes no batches, or its items do not fit the claim.
    """
    batches: Any = loader.batch_sampler
    if batches is None:
        raise UsageError(
            "this DataLoader does not make batches (batch_size=None)",
            hint="wrap its data set instead: watermarked(dataset, watermark)",
        )
    if isinstance(loader.dataset, DatasetWithTriggers):
        raise UsageError(
            "this DataLoader holds triggers already",
            hint="for a second claim, mark the data set itself: watermarked(dataset, watermark)",
        )
    size = loader.batch_size or getattr(batches, "batch_size", None) or len(next(iter(batches)))
    item = first_item(loader.dataset)
    items = TriggerItems(watermark, recipe, item, find_fields(item, fields))
    return loader_with(
        loader,
        dataset=DatasetWithTriggers(loader.dataset, items, seed, size),
        batch_sampler=NumberedBatches(batches, recipe, size),
    )


def loader_with(loader: DataLoader[Any], **parts: Any) -> DataLoader[Any]:
    """Return a copy of a loader with some attributes replaced.

    Args:
        loader: the caller's; class, workers and sampler are kept.
        parts: the new attributes.

    Raises:
        UsageError: accelerate has already prepared the loader and distributed its data.
    """
    if not issubclass(type(loader), DataLoader):  # accelerate's wrapper fakes isinstance()
        raise UsageError(
            f"this DataLoader is a {type(loader).__name__}, prepared by accelerate",
            hint="mark it first: accelerator.prepare(watermarked(loader, watermark))",
        )
    changed = copy.copy(loader)
    vars(changed).update(parts, _iterator=None)  # a DataLoader refuses setattr()
    return changed


def first_item(dataset: Any) -> Any:
    """Return item 0 of a map-style data set.  Raises :class:`UsageError` if there is none."""
    if len(dataset) == 0:
        raise UsageError("the data set is empty")
    return dataset[0]


class NumberedBatch(list[Any]):
    """The indices of a batch, with the positions of its triggers in the trigger sequence.

    Attributes:
        places: positions, if one process gets the whole batch.
        if_cut: positions, if the batch is sliced over processes; a slice gets its part of them.
        size: of a full batch.
    """

    def __init__(self, indices: Any, places: range, if_cut: range, size: int) -> None:
        super().__init__(indices)
        self.places = places
        self.if_cut = if_cut
        self.size = size

    def __getitem__(self, key: Any) -> Any:
        taken = super().__getitem__(key)
        if not isinstance(key, slice) or len(taken) == len(self):
            return taken
        start, stop, _ = key.indices(self.size)
        part = part_of(self.if_cut, start, stop, self.size)
        return NumberedBatch(taken, part, part, stop - start)

    def __add__(self, more: Any) -> "NumberedBatch":
        return NumberedBatch([*self, *more], self.places, self.if_cut, self.size)


class NumberedBatches(Sampler[list[Any]]):
    """Wraps the caller's batch sampler and numbers its batches across epochs."""

    def __init__(self, batches: Any, recipe: Recipe, size: int) -> None:
        self._batches = batches
        self._recipe = recipe
        self._size = size
        self._drawn = 0
        self._rounds = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Any]]:
        own = process_of_sampler(self._batches)
        process = own or this_process()
        dealt_out = own is None and accelerate_is_in_charge()
        receiver, first_round = process.number, self._rounds
        for turn, batch in enumerate(self._batches):
            number, self._drawn = self._drawn, self._drawn + 1
            if_cut = self._recipe.places(number, self._size)
            if dealt_out:  # one to each process in turn; an incomplete last round is repeated
                number, receiver = first_round + turn // process.count, turn % process.count
                self._rounds = first_round + (turn + 1) // process.count
            places = self._recipe.places(number, self._size, receiver, process.count)
            yield NumberedBatch(batch, places, if_cut, self._size)

    @property
    def sampler(self) -> Any:
        """The caller's index sampler, which accelerate may replace."""
        return self._batches.sampler

    @sampler.setter
    def sampler(self, sampler: Any) -> None:
        self._batches.sampler = sampler

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_batches" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._batches, name)  # batch_size, drop_last, set_epoch


class DatasetWithTriggers(Dataset[Any]):
    """Wraps the caller's data set and appends triggers to every batch that is fetched."""

    def __init__(self, dataset: Any, items: TriggerItems, seed: int, size: int) -> None:
        self._dataset = dataset
        self._items = items
        self._seed = seed
        self._size = size
        self._process = this_process()
        self._not_numbered = 0

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:
        return self._dataset[index]

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        fetch = getattr(self._dataset, "__getitems__", None)
        own = fetch(list(indices)) if fetch else [self._dataset[index] for index in indices]
        places = indices.places if isinstance(indices, NumberedBatch) else self._next_places()
        triggers = triggers_at(
            len(self._items.watermark.labels), self._seed, places.start, len(places)
        )
        return [
            *own,
            *(
                self._items.item(int(trigger), np.random.default_rng([self._seed, place]))
                for trigger, place in zip(triggers, places, strict=True)
            ),
        ]

    def _next_places(self) -> range:
        """Number a batch that no sampler has: accelerate adds batches to even out an epoch."""
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        number += workers * self._not_numbered
        self._not_numbered += 1
        process = self._process
        return self._items.recipe.places(number, self._size, process.number, process.count)
