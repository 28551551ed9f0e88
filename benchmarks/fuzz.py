"""How many hostile inputs has each parser taken without a finding?

The long run of ``tests/fuzz``: coverage-guided, one parser at a time, from the corpus in the tree.
A finding ends the run and is kept as ``tests/fuzz/finding-PARSER``.  With ``--parser`` one is run
again, after a cure, and the results of the others are kept.

    nice -n 15 python benchmarks/fuzz.py
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

FUZZ = Path(__file__).parents[1] / "tests" / "fuzz"
RUNS_OF_A_PROCESS = 250_000
OPTIONS = ("-max_len=4096", "-timeout=60", "-rss_limit_mb=4096", "-print_final_stats=1")


def long_run(target: str, runs: int, seed: int) -> dict[str, Any]:
    """Fuzz one parser and return what happened.

    In processes one after the other, which hand on what they have found: Atheris keeps some
    kilobytes for every function that instrumented code makes while it runs, and a million inputs
    in one process would come to its limit of memory by that alone.
    """
    began = time.monotonic()
    executions, texts, failed = 0, [], False
    with tempfile.TemporaryDirectory() as found:
        for start in range(0, runs, RUNS_OF_A_PROCESS):
            count = min(RUNS_OF_A_PROCESS, runs - start)
            done = subprocess.run(
                [
                    *(sys.executable, FUZZ / "drive.py", target, f"-runs={count}"),
                    *(f"-seed={seed + start}", *OPTIONS),
                    f"-artifact_prefix={FUZZ}/finding-{target}-",
                    *(found, FUZZ / "corpus" / target),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            texts.append(done.stdout + done.stderr)
            executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", texts[-1])
            executions += int(executed[1]) if executed else 0
            failed = done.returncode != 0
            if failed:
                break
        corpus = len(list(Path(found).iterdir()))
    covered = re.findall(r"cov: (\d+)", texts[-1])
    return {
        "executions": executions,
        "findings": int(failed),
        "branches_covered": int(covered[-1]) if covered else 0,
        "inputs_of_new_coverage": corpus,
        "seconds": round(time.monotonic() - began),
        **({"last_words": texts[-1][-2000:]} if failed else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    targets = sorted(folder.name for folder in (FUZZ / "corpus").iterdir())
    parser.add_argument("--parser", choices=targets)
    arguments = parser.parse_args()
    parsers: dict[str, Any] = {}
    if arguments.parser:
        targets = [arguments.parser]
        parsers = json.loads((harness.RESULTS / "fuzz.json").read_text())["parsers"]
    for target in targets:
        parsers[target] = long_run(target, arguments.runs, arguments.seed)
        print(target, parsers[target], flush=True)
    harness.record(
        "fuzz",
        {
            "command": "python benchmarks/fuzz.py",  # repeats all, however many calls it took
            "parsers": parsers,
            "least_executions": min(result["executions"] for result in parsers.values()),
            "findings": sum(result["findings"] for result in parsers.values()),
        },
    )


if __name__ == "__main__":
    main()
