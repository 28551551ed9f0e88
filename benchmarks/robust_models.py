"""The trained ``robust`` models that several benchmarks look at from several sides."""

import argparse
from pathlib import Path

from attacks import stolen
from splits import owner_and_attacker

from wmx import Watermark
from wmx.attacks.attack import Target
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData


def parsed(description: str | None) -> argparse.Namespace:
    """Read which models are meant."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("attacks-work"), help="keeps the models")
    return parser.parse_args()


def robust(
    arguments: argparse.Namespace, seed: int
) -> tuple[Watermark, Target, LabeledData, Training]:
    """Return mark and model of one seed, trained if it is not there, with its data and settings."""
    data, attacker = owner_and_attacker(arguments.data)
    training = Training(epochs=arguments.epochs, seed=seed, device="cpu")
    name = f"{Path(arguments.data).stem}_torch_robust_{arguments.epochs}_{seed}"
    watermark, target = stolen(arguments.work / name, data, attacker, training, "torch")
    return watermark, target, data, training
