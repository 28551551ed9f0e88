"""What does the process of its own cost?  ``wmx verify`` of the demo's model with and without it.

Both run the same command in a fresh interpreter; without, the model is run where the command is,
as one's own exports are.  Processes are timed whole, in turns, and must give the same verdict.
The two processes share the work only where two cores are free: on a busy machine, let nothing else
come between.

    wmx demo && chrt -f 1 python benchmarks/sandbox_cost.py
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

ROUNDS = 31
WITH = "from wmx.cli import main; main()"
WITHOUT = """
import contextlib
import wmx.suspect.sandbox.process as process
process.Sandbox.start = lambda limits: contextlib.nullcontext()
import wmx.suspect.suspect as suspect
open_suspect = suspect.open_suspect
suspect.open_suspect = lambda path, device, sandbox: open_suspect(path, device, own=True)
from wmx.cli import main
main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("wmx-demo"), help="made by wmx demo")
    demo = parser.parse_args().demo.resolve()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as name:

        def call(*words: str) -> bytes:
            return subprocess.run(
                [sys.executable, *words], check=True, cwd=name, env=environment, capture_output=True
            ).stdout

        verify = (
            *("verify", str(demo / "model.onnx"), "--claim", str(demo / "claim.json")),
            *("--key", str(demo / "owner.pem"), "--json"),
        )
        verdicts = [json.loads(call("-c", code, *verify)) for code in (WITH, WITHOUT)]
        seconds = harness.alternate(
            {
                "with the process": lambda: call("-c", WITH, *verify),
                "without": lambda: call("-c", WITHOUT, *verify),
            },
            ROUNDS,
        )
    harness.record(
        "sandbox_cost",
        {
            **harness.ratio(seconds, "with the process", "without"),
            "same_verdict": verdicts[0] == verdicts[1],
            "bits": verdicts[0]["bits"],
        },
    )


if __name__ == "__main__":
    main()
