"""Are triggers and labels the same bytes when key and claim are opened in another process?

And how long does it take to draw 100 triggers of 224 x 224 x 3?

python benchmarks/rebuild.py
"""

import hashlib
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

from wmx import Claim, OwnerKey, Task, Watermark
from wmx.triggers import draw_triggers
from wmx.triggers.cells import Cells

SHAPES = ((8, 8, 1), (28, 28, 1), (32, 32, 3), (224, 224, 3))
IN_ANOTHER_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from rebuild import digests
print(*digests(sys.argv[2], sys.argv[3]))
"""


def digests(claim: Path | str, key: Path | str) -> tuple[str, str]:
    """Return SHA-256 of the trigger bytes and of the labels."""
    watermark = Watermark.open(Claim.load(claim), OwnerKey.load(key))
    return (
        hashlib.sha256(watermark.triggers.tobytes()).hexdigest(),
        hashlib.sha256(watermark.labels.astype(">i8").tobytes()).hexdigest(),
    )


def main() -> None:
    here = Path(__file__).parent
    rows = []
    with tempfile.TemporaryDirectory() as name:
        key = Path(name) / "owner.pem"
        OwnerKey.generate().save(key)
        for shape in SHAPES:
            claim = Path(name) / f"{shape}.json"
            Watermark.new(OwnerKey.load(key), shape=shape, classes=10).claim.save(claim)
            other = subprocess.run(
                [sys.executable, "-c", IN_ANOTHER_PROCESS, here, claim, key],
                check=True,
                capture_output=True,
                text=True,
            )
            same = tuple(other.stdout.split()) == digests(claim, key)
            rows.append({"shape": list(shape), "identical": same})
    task = Task.of((224, 224, 3), 10)
    seconds = harness.alternate(
        {"draw": lambda: draw_triggers(Cells(), bytes(32), 100, task)}, rounds=9
    )
    figures = {
        "sets": rows,
        "all_identical": all(row["identical"] for row in rows),
        "seconds_100_triggers_224": round(statistics.median(seconds["draw"]), 4),
    }
    harness.record("rebuild", figures)


if __name__ == "__main__":
    main()
