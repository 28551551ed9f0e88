"""How many bits do models without the mark get?

Many small networks learn scikit-learn's digits from different seeds and never see a trigger. Each
is exported and held against many claims of different owners.  Ville's inequality says that b bits
or more come up at most once in 2^b; the table shows how often they did.

    python benchmarks/unmarked.py
"""

import argparse
import tempfile
from pathlib import Path

import harness
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from wmx import OwnerKey, Watermark
from wmx.suspect.suspect import open_suspect
from wmx.verification.verdict import judge
from wmx_torch import export

STEPS = 150
BATCH = 64
THRESHOLDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def trained(seed: int, images: torch.Tensor, labels: torch.Tensor) -> tuple[nn.Module, float]:
    """Return an unmarked network and its accuracy on the 20 % of the digits it has not seen."""
    torch.manual_seed(seed)
    order = torch.randperm(len(labels))
    train, test = order[: int(0.8 * len(labels))], order[int(0.8 * len(labels)) :]
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(STEPS):
        batch = train[torch.randint(len(train), (BATCH,))]
        optimizer.zero_grad()
        cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = float((model(images[test]).argmax(1) == labels[test]).float().mean())
    return model, accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--claims", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_digits()
    images = torch.tensor(digits.images[:, None], dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    watermarks = [
        Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
        for _ in range(arguments.claims)
    ]
    bits, accuracies, hits = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.models):
            model, accuracy = trained(seed, images, labels)
            path = Path(folder) / f"{seed}.onnx"
            export(model, path, watermarks[0])
            suspect = open_suspect(path, "cpu", own=True)
            verdicts = [judge(suspect, watermark) for watermark in watermarks]
            bits += [verdict.bits for verdict in verdicts]
            hits += [verdict.hits for verdict in verdicts]
            accuracies.append(accuracy)
    values = np.array(bits)
    harness.record(
        "unmarked",
        {
            "models": arguments.models,
            "claims": arguments.claims,
            "pairs": len(values),
            "mean_accuracy": round(float(np.mean(accuracies)), 4),
            "mean_hits": round(float(np.mean(hits)), 2),
            "most_hits": max(hits),
            "most_bits": round(float(values.max()), 2),
            "at_64_bits_or_more": int((values >= 64).sum()),
            "distribution": [
                {
                    "bits": threshold,
                    "share_at_or_above": round(float((values >= threshold).mean()), 6),
                    "bound": min(1.0, 2.0**-threshold),
                }
                for threshold in THRESHOLDS
            ],
        },
    )


if __name__ == "__main__":
    main()
