"""What does the output of ``wmx verify`` about a stranger's file tell the stranger?

He writes files whose answers hang on a row's place in the batch alone, so that he knows what they
answer to which trigger, and reads what the owner publishes about them.

    experts   the wealth of an expert: scores are chosen so that a group of labels follows from it,
              like the digits of a number.  How many, hangs on how many digits are printed.
    hits      of a file that always answers class c: how many labels are c.

With all groups read, he writes the file that answers the labels.  Tried with all digits, as Python
has them and no command prints them, and with those that ``--json`` prints.

    python benchmarks/published_verdicts.py
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from wmx import OwnerKey, Watermark, verify
from wmx.protocol.task import Task
from wmx.statistics.experts import INVERSE_TEMPERATURES
from wmx.statistics.normalization import Standardizer

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.fixed import OWNER
from support.forging.files import forged_file
from support.forging.graphs import Graph
from support.forging.rows import row_number

N, K = 100, 10
RATIO = 12.0  # of the spread of one row's scores to that of the next
MANY, FEW = 9, 1  # labels that one number of 17 digits is to tell, and one of tenths
TRIES = 30
VERIFY = "from wmx.cli import main; main()"


def telling_scores(first: int, group: int, seed: int) -> NDArray[np.float64]:
    """Return scores [N, K] that bet on the rows ``first .. first + group - 1`` alone.

    A row whose scores are the mean of those before it is standardised to zero.

    Args:
        first: row.
        group: how many rows.
        seed: of the order in which classes are bet on.
    """
    order = np.random.default_rng(seed).permutation(K)
    scores = np.empty((N, K))
    mean = np.linspace(5.0, 14.0, K)
    for row in range(N):
        place = row - first
        step = 4.0 * (order - (K - 1) / 2) * RATIO**-place if 0 <= place < group else 0.0
        scores[row] = mean + step
        mean = mean + step / (row + 1)
    return scores


def file_of(mark: Watermark, scores: NDArray[np.float64]) -> bytes:
    """Return a file that answers all triggers together so, and fails on any other batch.

    What earns most in one way is what is printed of it, so there is to be no other.
    """
    graph = Graph(mark.claim, None)
    rows = graph.add("Gather", graph.constant(scores, np.float64), row_number(graph))
    return graph.file([graph.add("Reshape", rows, graph.numbers(N, K))], TensorProto.DOUBLE, K)


def told(wealth: float, scores: NDArray[np.float64]) -> dict[int, int]:
    """Return the labels that an expert's log2 wealth tells of the rows that it could bet on."""
    z = Standardizer(K).update(scores)
    low, high = -100.0, 100.0
    while high - low > 1e-15 * max(1.0, abs(low)):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _wealth(middle, z) < wealth else (low, middle)
    rows = [row for row in np.argsort(-np.ptp(z, axis=1)) if np.ptp(z[row]) > 1e-9]
    tolerance = float(np.ptp(z[rows[-1]])) / (K - 1) / 2.1
    return dict(_digits(low, z, rows, tolerance) or [])


def _wealth(total: float, z: NDArray[np.float64]) -> float:
    """Return log2 of the softmax expert's wealth where the labels' scores add up to ``total``."""
    logs = [
        (b * total - np.log(np.exp(b * z).sum(axis=1)).sum()) / math.log(2)
        for b in INVERSE_TEMPERATURES
    ]
    return float(np.logaddexp2.reduce(logs) - math.log2(len(logs)) + len(z) * math.log2(K))


def _digits(
    left: float, z: NDArray[np.float64], rows: list[int], tolerance: float
) -> list[tuple[int, int]] | None:
    """Return the label of each row so that their scores add up to ``left``; the largest first."""
    if not rows:
        return [] if abs(left) < tolerance else None
    row, rest = rows[0], z[rows[1:]]
    middle = (rest.max(axis=1) + rest.min(axis=1)).sum() / 2
    reach = np.ptp(rest, axis=1).sum() / 2 + tolerance
    for label in np.argsort(np.abs(left - z[row] - middle)):
        if abs(left - z[row][label] - middle) <= reach:
            found = _digits(left - z[row][label], z, rows[1:], tolerance)
            if found is not None:
                return [(int(row), int(label)), *found]
    return None


def published(model: bytes, folder: Path) -> dict[str, Any]:
    """Return what ``wmx verify --json`` prints about a file."""
    (folder / "suspect.onnx").write_bytes(model)
    words = ("verify", "suspect.onnx", "--claim", "claim.json", "--key", "owner.pem", "--json")
    done = subprocess.run(
        [sys.executable, "-c", VERIFY, *words], cwd=folder, capture_output=True, check=False
    )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def all_digits(model: bytes, mark: Watermark, folder: Path) -> tuple[str, float]:
    """Return the best way and the expert's wealth in it, as no command prints it."""
    (folder / "suspect.onnx").write_bytes(model)
    verdict = verify(folder / "suspect.onnx", mark, device="cpu")
    return verdict.best_probe, verdict.experts["softmax"]


def tenths(model: bytes, folder: Path) -> tuple[str, float]:
    """Return the same as it is printed, rounded down to a tenth."""
    printed = published(model, folder)
    return printed["best_way"], printed["experts"]["softmax"] + 0.05


def read_off(
    mark: Watermark, rows: int, group: int, ask: Callable[[bytes], tuple[str, float]]
) -> tuple[dict[int, int], int]:
    """Return the labels that were told, and by how many verdicts.

    A verdict that is about another reading of the answers tells nothing; another order of the
    classes is tried then.
    """
    known: dict[int, int] = {}
    asked = 0
    for first in range(1, rows, group):
        for seed in range(TRIES):
            scores = telling_scores(first, group, seed)
            probe, wealth = ask(file_of(mark, scores))
            asked += 1
            if probe.endswith(" y0"):
                known |= told(wealth, scores)
                break
    return known, asked


def outcome(mark: Watermark, known: dict[int, int], numbers: int, folder: Path) -> dict[str, Any]:
    """Return what the stranger made of the labels that he was told."""
    guess = np.array([known.get(row, 0) for row in range(N)])
    last = published(forged_file(mark.claim, [guess]), folder)
    return {
        "noes_published": numbers,
        "labels_told": int(sum(mark.labels[row] == label for row, label in known.items())),
        "then_verified": last["verified"],
        "bits": last["bits"],
    }


def run(owner: OwnerKey, folder: Path, rows: int) -> dict[str, Any]:
    """Return how much was published, and what came of it."""
    task = Task.of((8, 8, 1), K, mean=0.3, std=0.4)
    mark = Watermark.for_task(owner, task, salt=bytes(32), created="2026-01-01T00:00:00Z")
    mark.claim.save(folder / "claim.json")
    owner.save(folder / "owner.pem")
    digits = read_off(mark, rows, MANY, lambda model: all_digits(model, mark, folder))
    printed = read_off(mark, rows, FEW, lambda model: tenths(model, folder))
    counts = [
        published(forged_file(mark.claim, [np.full(N, label)]), folder)["hits"]
        for label in range(K)
    ]
    return {
        "all digits": outcome(mark, *digits, folder),
        "as printed": outcome(mark, *printed, folder),
        "hits_of_constants_are_the_numbers_of_labels": counts == np.bincount(mark.labels).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=N)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        harness.record("published_verdicts", run(OWNER, Path(folder), arguments.rows))


if __name__ == "__main__":
    main()
