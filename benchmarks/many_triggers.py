"""How long does the verifier itself take for a hundred thousand triggers?

The suspect is a function that gives an intact model's scores at no cost of its own, so that what is
timed is what ``wmx verify`` adds to the runtime: getting inputs ready, asking, reading, five
experts, the count of hits.

    python benchmarks/many_triggers.py
"""

import argparse
import resource
import time
from typing import Any

import harness
import numpy as np
from numpy.typing import NDArray

from wmx import OwnerKey, Watermark, verify

CLASSES = 10
MARGIN = 5.0  # of the label's score over the others, whose noise has deviation 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    mark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=CLASSES, n=arguments.n)
    noise = np.random.default_rng(0).normal(size=(arguments.n, CLASSES))
    scores = (MARGIN * np.eye(CLASSES)[mark.labels] + noise).astype(np.float32)

    def intact(inputs: NDArray[Any]) -> NDArray[Any]:
        return scores[: len(inputs)]

    wall, cpu = [], []
    for _ in range(arguments.rounds):
        began, used = time.perf_counter(), time.process_time()
        verdict = verify(intact, mark)
        wall.append(round(time.perf_counter() - began, 2))
        cpu.append(round(time.process_time() - used, 2))
    harness.record(
        "many_triggers",
        {
            "n": arguments.n,
            "bits": round(verdict.bits),
            "seconds": wall,
            "cpu_seconds": cpu,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        },
    )


if __name__ == "__main__":
    main()
