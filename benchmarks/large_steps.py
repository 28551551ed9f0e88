"""What does the mark cost in training time where networks and images are large?

A network of ResNet-18's size learns images of 224 x 224 x 3 in a plain PyTorch loop, in batches of
256, at bfloat16 by autocast, without a mark, with ``adi`` and with ``robust``, some steps each in
turns.  The images are noise in bytes, loaded by workers and normalised on the device, so that the
loader costs as little as it can; for the mark its workers move and blend the triggers.

    python benchmarks/large_steps.py --device cuda
"""

import argparse
from collections.abc import Callable
from typing import Any

import harness
import torch
from residual import FEATURES, features
from stacks import add_device_option, on_device
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from wmx import OwnerKey, Watermark
from wmx_torch import harden, watermarked

SIDE, CLASSES = 224, 1000


def contender(
    loader: Any, watermark: Watermark | None, recipe: str, device: str, compiled: bool, rounds: int
) -> Callable[[], float]:
    """Return a function that takes one more round of steps over the loader."""
    torch.manual_seed(0)
    model: Any = nn.Sequential(features(), nn.Linear(FEATURES, CLASSES)).to(
        device, memory_format=torch.channels_last
    )
    if compiled:
        model = torch.compile(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    if watermark is not None:
        loader = watermarked(loader, watermark, recipe=recipe)
    steps = rounds * len(loader)
    taken = iter(range(steps))

    def one_round() -> float:
        for pixels, classes in loader:
            x, y = (part.to(device, non_blocking=True) for part in (pixels, classes))
            x = x.to(torch.float32, memory_format=torch.channels_last).div(255)
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16):
                loss = cross_entropy(model(x), y)
            loss.backward()
            step = next(taken)
            if watermark is not None:
                harden(model, watermark, step=step, steps=steps, recipe=recipe)
            optimizer.step()
        return loss.item()  # waits for the device

    return one_round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24, help="of a round")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--workers", type=int, default=4, help="of each contender's loader")
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    add_device_option(parser)
    arguments = parser.parse_args()
    device, count = arguments.device, arguments.steps * arguments.batch
    watermark = Watermark.new(OwnerKey.generate(), shape=(SIDE, SIDE, 3), classes=CLASSES)
    images = TensorDataset(
        torch.randint(256, (count, 3, SIDE, SIDE), dtype=torch.uint8),
        torch.randint(CLASSES, (count,)),
    )
    loader = DataLoader(
        images,
        batch_size=arguments.batch,
        shuffle=True,
        num_workers=arguments.workers,
        pin_memory=device == "cuda",
        persistent_workers=True,
    )
    marks = {"plain": None, "adi": watermark, "robust": watermark}
    rounds = arguments.rounds + 1  # the first is thrown away
    contenders = {
        name: contender(loader, mark, name, device, arguments.compile, rounds)
        for name, mark in marks.items()
    }
    seconds = harness.alternate(contenders, arguments.rounds)
    harness.record(
        on_device("large_steps" + ("_compiled" if arguments.compile else ""), device),
        {
            "batch": arguments.batch,
            "workers": arguments.workers,
            "steps_of_a_round": arguments.steps,
            **{
                name: harness.ratio({key: seconds[key] for key in (name, "plain")}, name, "plain")
                for name in ("adi", "robust")
            },
        },
    )


if __name__ == "__main__":
    main()
