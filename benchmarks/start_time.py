"""How long does the command line take to start?

``wmx --help`` against ``python -c "import typer"``; ``wmx verify`` of a 100-trigger claim on the
demo's model against a bare script that imports numpy and onnxruntime, loads the same file and runs
the same 100 inputs; ``import wmx`` against ``import numpy``, both beyond an interpreter that does
nothing.  Processes are timed whole, in turns.

    python benchmarks/start_time.py
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np

from wmx import Claim, OwnerKey, Watermark

ROUNDS = 31
SCRIPT = Path(sys.executable).with_name("wmx")
BARE = """
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
inputs = np.load("inputs.npy")
scores = session.run(None, {session.get_inputs()[0].name: inputs})[0]
print(scores.argmax(axis=1))
"""


def main() -> None:
    # bytecode is cached in an installation; do not let this shell's settings take that away
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def call(*words: str | Path) -> None:
            subprocess.run(
                [str(word) for word in words],
                check=True,
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
            )

        call(SCRIPT, "demo", "--out", "demo")
        demo = folder / "demo"
        (folder / "model.onnx").write_bytes((demo / "model.onnx").read_bytes())
        (folder / "bare.py").write_text(BARE)
        watermark = Watermark.open(
            Claim.load(demo / "claim.json"), OwnerKey.load(demo / "owner.pem")
        )
        np.save(folder / "inputs.npy", watermark.inputs.transpose(0, 3, 1, 2).copy())
        verify = ("verify", "model.onnx", "--claim", "demo/claim.json", "--key", "demo/owner.pem")
        seconds = harness.alternate(
            {
                "wmx verify": lambda: call(SCRIPT, *verify),
                "bare script": lambda: call(sys.executable, "bare.py"),
                "wmx --help": lambda: call(SCRIPT, "--help"),
                "import typer": lambda: call(sys.executable, "-c", "import typer"),
                "import wmx": lambda: call(sys.executable, "-c", "import wmx"),
                "import numpy": lambda: call(sys.executable, "-c", "import numpy"),
                "nothing": lambda: call(sys.executable, "-c", ""),
            },
            ROUNDS,
        )
    beyond = {
        name: [time - idle for time, idle in zip(seconds[name], seconds["nothing"], strict=True)]
        for name in ("import wmx", "import numpy")
    }
    harness.record(
        "start_time",
        {
            "verify": harness.ratio(
                {name: seconds[name] for name in ("wmx verify", "bare script")},
                "wmx verify",
                "bare script",
            ),
            "help": harness.ratio(
                {name: seconds[name] for name in ("wmx --help", "import typer")},
                "wmx --help",
                "import typer",
            ),
            "import": harness.ratio(beyond, "import wmx", "import numpy"),
        },
    )


if __name__ == "__main__":
    main()
