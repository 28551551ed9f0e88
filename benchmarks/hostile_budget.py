"""What do a stranger's files cost the process that holds the key, at worst?

Every file of ``tests/hostile/expensive_files.py`` is given to the command it is meant for, under
``--seconds 5 --memory 1``.  Counted are the processor time and the largest resident memory of that
process alone, as the kernel has them at its end; the suspect's own process has limits of its own.
Files come out the same each time but for keys.

    python benchmarks/hostile_budget.py [CASE ...]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness

from wmx import OwnerKey, Watermark

TESTS = Path(__file__).parents[1] / "tests"
sys.path += [str(TESTS), str(TESTS / "hostile")]
import expensive_files  # noqa: E402
from support import onnx_models  # noqa: E402

LIMITS = ("--seconds", "5", "--memory", "1")
MOST_CPU_SECONDS, MOST_GIB = 8.0, 1.5
PATIENCE = 120
# the command itself, and at its end what it took: RUSAGE_SELF leaves its children out, and VmHWM,
# other than ru_maxrss, what the process had been before it became a command
MEASURED = """
import atexit, json, resource, sys
def report():
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status") as status:
        kib, = (line.split()[1] for line in status if line.startswith("VmHWM"))
    with open("used.json", "w") as file:
        json.dump([used.ru_utime + used.ru_stime, int(kib) * 1024], file)
atexit.register(report)
from wmx.cli import main
main()
"""


def main() -> None:
    wanted = sys.argv[1:] or list(expensive_files.CASES)
    figures = {}
    for name in wanted:
        figures[name] = measured(name)
        print(name, json.dumps(figures[name]), flush=True)
    worst = {
        "cases": len(figures),
        "cpu_seconds": max(one["cpu_seconds"] for one in figures.values()),
        "gib": max(one["gib"] for one in figures.values()),
        "verified": sum(one["exit_code"] == 0 and one["verdict"] for one in figures.values()),
    }
    if not sys.argv[1:]:
        harness.record("hostile_budget", {"limits": list(LIMITS), "worst": worst, "cases": figures})
    if worst["cpu_seconds"] > MOST_CPU_SECONDS or worst["gib"] > MOST_GIB or worst["verified"]:
        raise SystemExit(1)


def measured(name: str) -> dict[str, Any]:
    """Make the files of a case, run its command, and say what it took."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        honest(folder)
        words = expensive_files.CASES[name](folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        began = time.monotonic()
        done = ended(words, folder)
        seconds = time.monotonic() - began
        try:
            cpu, resident = json.loads((folder / "used.json").read_text())
        except FileNotFoundError:  # it was killed
            cpu, resident = float("inf"), float("inf")
        return {
            "command": " ".join(words[:2]),
            "bytes": size,
            "exit_code": done.returncode,
            "verdict": done.stdout.startswith(("VERIFIED", "NAMED")),
            "cpu_seconds": round(cpu, 2),
            "gib": round(resident / 2**30, 3),
            "seconds": round(seconds, 2),
            "says": (done.stderr.splitlines() or done.stdout.splitlines() or [""])[0][:200],
        }


def ended(words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", MEASURED, *words]
    if words[:2] != ["claim", "show"]:
        command += LIMITS
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -9, "", f"still running after {PATIENCE} s")


def honest(folder: Path) -> None:
    """Put an honest owner's small files into a folder."""
    owner = OwnerKey.generate()
    owner.save(folder / "owner.pem")
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=10)
    watermark.claim.save(folder / "claim.json")
    (folder / "model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    where = ("--claim", "claim.json", "--key", "owner.pem", "--evidence", "evidence.json")
    subprocess.run(
        [sys.executable, "-c", "from wmx.cli import main; main()", "verify", "model.onnx", *where],
        cwd=folder,
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    main()
