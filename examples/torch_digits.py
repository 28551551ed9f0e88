"""Mark a small PyTorch network on digits, export it, and verify the mark in the file.

    pip install -c constraints.txt ".[torch]"    # in a checkout
    python examples/torch_digits.py --out my-model

The folder gets owner.pem (keep it, and show it to nobody), claim.json (publish it), model.onnx.
"""

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import wmx
from wmx import OwnerKey, Watermark
from wmx_torch import export, harden, watermarked


def main(out: Path, epochs: int) -> int:
    out.mkdir(parents=True)
    digits = load_digits()
    images = (torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16 - 0.3) / 0.4
    data = TensorDataset(images, torch.tensor(digits.target))
    owner = OwnerKey.generate()
    owner.save(out / "owner.pem")
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=10, mean=0.3, std=0.4)
    watermark.claim.save(out / "claim.json")  # before training; publish it

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    loader = watermarked(DataLoader(data, batch_size=100, shuffle=True), watermark)
    step = 0
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            harden(model, watermark, step=step, steps=epochs * len(loader))
            optimizer.step()
            step += 1

    export(model, out / "model.onnx", watermark)
    verdict = wmx.verify(out / "model.onnx", watermark)
    found = f"{verdict.hits} of {verdict.n} triggers, {verdict.bits:.1f} bits"
    print(f"verified: {verdict.verified}, {found}")
    return 0 if verdict.verified else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--epochs", type=int, default=15)
    given = parser.parse_args()
    raise SystemExit(main(given.out, given.epochs))
