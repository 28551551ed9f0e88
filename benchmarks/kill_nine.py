"""kill -9 at random moments: is every file the old or the new one, and no secret ever open to all?

Making keys, claims (over own images too) and a short training are killed 200 times in all, half
of them at random times, half at random steps that touch files.

    python benchmarks/kill_nine.py
"""

import argparse
import os
import random
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import harness
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import killing
from safetensors.numpy import load as load_tensors

NOT_FIRM = 1  # so short a training leaves too few bits, and says so
EMBED = (
    *("embed", "--data", "data.npz", "--model", "mlp", "--epochs", "2", "--batch-size", "32"),
    *("--recipe", "adi", "--key", "owner.pem", "-o", "out"),
)


def own_images(folder: Path) -> None:
    """A key, and a folder of pictures for triggers."""
    from PIL import Image

    killing.old_key(folder)
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")


def training(folder: Path) -> None:
    """A key, and data of two classes."""
    killing.old_key(folder)
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.integers(0, 256, (96, 8, 8), np.uint8), y=np.arange(96) % 3)


def whole_run(folder: Path) -> None:
    """Claims, weights, checkpoint and model are whole, or are not there."""
    import onnx

    killing.whole_claims(folder)
    out = folder / "out"
    killing.whole_claims(out) if out.exists() else None
    for path in out.glob("*.safetensors"):
        load_tensors(path.read_bytes())
    if (out / "model.onnx").exists():
        onnx.checker.check_model(onnx.load(out / "model.onnx"), full_check=True)


OPERATIONS = killing.OPERATIONS | {
    "claim new --trigger-images": killing.Operation(
        (*killing.CLAIM, "--key", "owner.pem", "--trigger-images", "pictures"),
        own_images,
        killing.whole_claims,
        40,
    ),
    "embed": killing.Operation(EMBED, training, whole_run, 60),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    seconds = {name: _alone(OPERATIONS[name]) for name in OPERATIONS}
    outcomes: dict[str, list[killing.Outcome]] = {name: [] for name in OPERATIONS}
    killed = 0
    for name in cycle(OPERATIONS):
        if killed == arguments.kills:
            break
        with tempfile.TemporaryDirectory() as folder:
            outcome = killing.kill_once(
                OPERATIONS[name], Path(folder), rng, seconds[name], dict(os.environ)
            )
        outcomes[name].append(outcome)
        killed += outcome.killed
    every = [outcome for found in outcomes.values() for outcome in found]
    harness.record(
        "kill_nine",
        {
            "runs": len(every),
            "killed": killed,
            "damaged": sum(bool(outcome.problems) for outcome in every),
            "problems": [problem for outcome in every for problem in outcome.problems],
            "named_temporary_files_left": sum(len(outcome.leftovers) for outcome in every),
            "operations": {name: _summary(found) for name, found in outcomes.items()},
        },
    )


def _alone(operation: killing.Operation) -> float:
    """Return how long an operation takes when nobody kills it."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        outcome = killing.kill_once(operation, Path(folder), _Patient(), 1e3, dict(os.environ))
        assert outcome.code in (0, NOT_FIRM), operation.words
        return time.monotonic() - began


class _Patient(random.Random):
    """Decides to kill at a step that never comes."""

    def random(self) -> float:
        return 0.0

    def choice(self, options: Any) -> Any:
        return options[-1]

    def randrange(self, *_: Any) -> int:
        return killing.NEVER


def _summary(found: list[killing.Outcome]) -> dict[str, int]:
    return {
        "runs": len(found),
        "killed": sum(outcome.killed for outcome in found),
        "damaged": sum(bool(outcome.problems) for outcome in found),
    }


if __name__ == "__main__":
    main()
