"""kill -9 at random moments: is every file the old or the new one, and no secret ever open to all?

Making keys, claims (over own images too), timestamps and evidence, short trainings, and all that
replaces earlier files with --force are killed 200 times in all, half of them at random times, half
at random steps that touch files.  After each kill every file has to be whole; of a set that was to
be replaced the old files or the new ones have to be there, and never some of both; no key and no
claim may be lost; the ledger has to know every evidence; no secret file, temporary ones among them,
may ever have been open to others; and the same command has to work.

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

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import killing
from support.kill_operations import EMBED, NOT_FIRM, OPERATIONS, trained, training, whole_run

# those of the tests, and trainings in PyTorch beside the tests' own framework
CAMPAIGN = OPERATIONS | {
    "embed in torch": killing.Operation(tuple(EMBED.split()), training, whole_run, (0, NOT_FIRM)),
    "embed --force in torch": trained("torch").operation("--resume"),
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
