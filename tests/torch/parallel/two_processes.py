"""What one of two processes does: ``python two_processes.py SCENARIO FOLDER``, started twice.

``RANK`` and the rest of PyTorch's environment say which one it is.  What it saw is written to
``FOLDER/RANK.npz``, and the tests look at both.
"""

import math
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, TensorDataset

from wmx import Claim, OwnerKey, Watermark
from wmx.errors import UsageError
from wmx_torch import Monitor, export, harden, watermarked
from wmx_torch._training.models import cnn

Saved = dict[str, Any]
EPOCHS = 9


def main(scenario: str, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", timeout=timedelta(seconds=300))
    torch.manual_seed(distributed.get_rank())  # nothing may hang on equal random states
    watermark = Watermark.open(Claim.load(folder / "claim.json"), OwnerKey.load(folder / "key.pem"))
    saved = SCENARIOS[scenario](watermark, folder)
    np.savez(folder / f"{distributed.get_rank()}.npz", **saved)
    distributed.destroy_process_group()
    # DistributedDataParallel keeps the group, whose threads can abort an interpreter that ends
    # under them (pytorch/pytorch#190489): leave without taking it down.
    os._exit(0)


# scenarios


def ddp(watermark: Watermark, folder: Path) -> Saved:
    """A user's loop with DistributedDataParallel."""
    dataset = digits(1797)
    loader = watermarked(
        DataLoader(dataset, batch_size=50, sampler=DistributedSampler(dataset)), watermark
    )
    # in this layout a gradient is not contiguous
    network = network_for(watermark).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    steps, step, seen, first_rows = EPOCHS * len(loader), 0, [], []
    for epoch in range(EPOCHS):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for number, (x, y) in enumerate(loader):
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            harden(model, watermark, step=step, steps=steps)
            optimizer.step()
            step += 1
            seen.append(nearest_triggers(x[-2:], watermark))
            if number == 0:
                first_rows.append(x[0].flatten())
            assert len(x) in (52, 51)  # 50 of a process' 899 rows, or the last 49, and 2 triggers
    if distributed.get_rank() == 0:
        export(model, folder / "model.onnx", watermark)
    return {
        "seen": seen,
        "first_rows": torch.stack(first_rows),
        "weights": flat(model),
        "hits": Monitor(watermark)(model).hits,
    }


def by_hand(watermark: Watermark, folder: Path) -> Saved:
    """Each process has a loader of its own over its half of the data; and a mistake."""
    rank = distributed.get_rank()
    half = torch.utils.data.Subset(digits(1700), range(rank, 1700, 2))
    loader = DataLoader(half, batch_size=75, shuffle=True, drop_last=True, num_workers=1)
    marked = watermarked(loader, watermark, recipe="adi")
    batches = [x[75:] for _ in range(4) for x, _ in marked]
    stream = watermarked(Stream(digits(1700)), watermark, recipe="adi")
    mistaken = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10, mean=0.3, std=0.4)
    model = DistributedDataParallel(network_for(watermark))
    try:
        harden(model, mistaken, step=0, steps=10)
        error = ""
    except UsageError as raised:
        error = str(raised)
    return {
        "seen": [exact_triggers(x, watermark) for x in batches],
        "stream": exact_triggers(torch.stack([x for x, _ in stream]), watermark),
        "error": error,
    }


def accelerate(watermark: Watermark, folder: Path) -> Saved:
    """A user's loop with accelerate: bfloat16, two batches to a step, an uneven last round."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, mixed_precision="bf16", gradient_accumulation_steps=2)
    loader = watermarked(DataLoader(digits(1730), batch_size=50, shuffle=True), watermark)
    model: Any = network_for(watermark)
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    steps, step, seen = EPOCHS * math.ceil(len(loader) / 2), 0, []
    for _ in range(EPOCHS):
        for x, y in loader:
            with accelerator.accumulate(model):
                accelerator.backward(cross_entropy(model(x), y))
                if accelerator.sync_gradients:
                    harden(model, watermark, step=step, steps=steps)
                    step += 1
                optimizer.step()
                optimizer.zero_grad()
            assert len(x) == 52
            seen.append(nearest_triggers(x[-2:], watermark))
    plain = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if accelerator.is_main_process:
        export(plain, folder / "model.onnx", watermark)
    return {"seen": seen, "weights": flat(model), "steps": [step, steps]}


def dealt_out(watermark: Watermark, folder: Path) -> Saved:
    """What accelerate makes of a marked loader in each of its modes: three epochs of batches."""
    from accelerate import Accelerator
    from accelerate.utils import DataLoaderConfiguration

    saved: Saved = {}

    def save(mode: str, dataset: Any, size: int, **options: Any) -> None:
        accelerator = Accelerator(
            cpu=True, dataloader_config=DataLoaderConfiguration(data_seed=5, **options)
        )
        shuffle = not isinstance(dataset, IterableDataset)
        loader = DataLoader(dataset, batch_size=size, shuffle=shuffle)
        prepared = accelerator.prepare(watermarked(loader, watermark, recipe="adi"))
        first_epoch, *later = [[x for x, _ in prepared] for _ in range(3)]
        for number, x in enumerate(sum(later, first_epoch)):
            saved[f"{mode}.{number}"] = exact_triggers(x, watermark)
        rows = torch.cat(first_epoch)
        saved[f"{mode} digits"] = rows[exact_triggers(rows, watermark) < 0].numpy()

    data, stream = digits(1730), Stream(digits(1700))
    refused = []
    for dataset in (data, stream):
        try:
            watermarked(Accelerator(cpu=True).prepare(DataLoader(dataset)), watermark)
        except UsageError as error:
            refused.append(f"{error}: {error.hint}")
    save("whole", data, 75)
    save("seedable", data, 75, use_seedable_sampler=True)
    save("uneven", data, 75, even_batches=False)
    save("split", data, 100, split_batches=True)
    save("dispatched", data, 50, dispatch_batches=True)
    save("stream", stream, 50)
    save("sharded stream", stream, 50, dispatch_batches=False)
    return saved | {"refused": refused}


SCENARIOS = {"ddp": ddp, "by_hand": by_hand, "accelerate": accelerate, "dealt_out": dealt_out}

# data and models


class Stream(IterableDataset[Any]):
    def __init__(self, rows: TensorDataset) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[Any]:
        return (self.rows[index] for index in range(len(self.rows)))


def digits(count: int) -> TensorDataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16 - 0.3) / 0.4
    return TensorDataset(images[:count], torch.tensor(bunch.target)[:count])


def network_for(watermark: Watermark) -> nn.Module:
    return cnn(input_shape=watermark.task.shape, num_classes=watermark.task.classes)


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def exact_triggers(x: torch.Tensor, watermark: Watermark) -> np.ndarray:
    """The numbers of the triggers among rows, as ``adi`` shows them; -1 for other rows."""
    known = {plain.tobytes(): number for number, plain in enumerate(watermark.inputs)}
    rows: Iterable[np.ndarray] = x.permute(0, 2, 3, 1).contiguous().numpy()
    return np.array([known.get(row.tobytes(), -1) for row in rows])


def nearest_triggers(x: torch.Tensor, watermark: Watermark) -> np.ndarray:
    """The numbers of the triggers that rows show, however ``robust`` has varied them."""
    plain = torch.from_numpy(watermark.inputs).permute(0, 3, 1, 2).flatten(1)
    shown, plain = (part - part.mean(1, keepdim=True) for part in (x.flatten(1), plain))
    return nn.functional.cosine_similarity(shown[:, None], plain[None], dim=2).argmax(1).numpy()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
