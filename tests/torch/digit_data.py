"""The digits as data sets and loaders, for the tests of ``watermarked``."""

from typing import Any

import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    TensorDataset,
)


def own_stream() -> torch.Generator:
    """A DataLoader without a generator of its own draws from PyTorch's global one."""
    return torch.Generator().manual_seed(0)


def shuffled(dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
    return DataLoader(dataset, batch_size=100, shuffle=True, generator=own_stream(), **options)


class Digits(Dataset[Any]):
    """The digits in the form that ``make`` gives an item."""

    def __init__(self, digits: TensorDataset, make: Any) -> None:
        self.digits, self.make = digits, make

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> Any:
        return self.make(*self.digits[index])
