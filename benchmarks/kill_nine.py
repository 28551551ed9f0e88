"""kill -9 at random moments: is every file the old or the new one, and no secret ever open to all?

Making keys, claims (over own images too), timestamps and evidence, and a short training are killed
200 times in all, half of them at random times, half at random steps that touch files.  After each
kill every file has to be whole, the ledger has to know every evidence, no secret file, temporary
ones among them, may ever have been open to others, and the same command has to work.

    python benchmarks/kill_nine.py
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import harness
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import killing
from kill_operations import CLAIM_NEW, OPERATIONS, old_key, whole_claims
from safetensors.numpy import load as load_tensors

NOT_FIRM = 1  # so short a training leaves too few bits, and says so
EMBED = "embed --data data.npz --model mlp --epochs 2 --batch-size 32 --recipe adi --key owner.pem"


def own_images(folder: Path) -> None:
    """A key, and a folder of pictures for triggers."""
    from PIL import Image

    old_key(folder)
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")


def training(folder: Path) -> None:
    """A key, and data of three classes."""
    old_key(folder)
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.integers(0, 256, (96, 8, 8), np.uint8), y=np.arange(96) % 3)


def whole_run(folder: Path) -> None:
    """Claims, weights, checkpoint and model are whole, or are not there."""
    import onnx

    whole_claims(folder)
    out = folder / "out"
    if out.exists():
        whole_claims(out)
    for path in out.glob("*.safetensors"):
        load_tensors(path.read_bytes())
    if (out / "model.onnx").exists():
        onnx.checker.check_model(onnx.load(out / "model.onnx"), full_check=True)


CAMPAIGN = OPERATIONS | {
    "claim new --trigger-images": killing.Operation(
        (*CLAIM_NEW.split(), "--trigger-images", "pictures"), own_images, whole_claims
    ),
    "embed": killing.Operation((*EMBED.split(), "-o", "out"), training, whole_run, (0, NOT_FIRM)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    lengths = {}
    for name, operation in CAMPAIGN.items():
        with empty() as folder:
            lengths[name] = killing.run_alone(operation, folder)
    outcomes: dict[str, list[killing.Outcome]] = {name: [] for name in CAMPAIGN}
    killed = 0
    for name in cycle(CAMPAIGN):
        if killed == arguments.kills:
            break
        with empty() as folder:
            outcome = killing.kill_once(CAMPAIGN[name], folder, rng, lengths[name])
        outcomes[name].append(outcome)
        killed += outcome.killed
        print(killed, name, outcome, file=sys.stderr, flush=True)
    every = [outcome for found in outcomes.values() for outcome in found]
    harness.record(
        "kill_nine",
        {
            "runs": len(every),
            "killed": killed,
            "damaged": sum(bool(outcome.problems) for outcome in every),
            "problems": [problem for outcome in every for problem in outcome.problems],
            "temporary_files_left": sum(len(outcome.leftovers) for outcome in every),
            "operations": {
                name: {"steps": lengths[name].steps, **summary(found)}
                for name, found in outcomes.items()
            },
        },
    )


@contextmanager
def empty() -> Iterator[Path]:
    """Give a folder for one run."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def summary(found: list[killing.Outcome]) -> dict[str, int]:
    return {
        "runs": len(found),
        "killed": sum(outcome.killed for outcome in found),
        "damaged": sum(bool(outcome.problems) for outcome in found),
        "temporary_files_left": sum(len(outcome.leftovers) for outcome in found),
    }


if __name__ == "__main__":
    main()
