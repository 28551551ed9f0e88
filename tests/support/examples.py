"""Running the scripts under examples/ as their readers do."""

import subprocess
import sys
from pathlib import Path

import wmx

EXAMPLES = Path(__file__).parents[2] / "examples"


def check_example(name: str, folder: Path, *words: str) -> None:
    """Run an example in a process of its own; it verifies, and what it left verifies anew."""
    out = folder / "out"
    command = [sys.executable, EXAMPLES / name, "--out", out, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("verified: True, ")
    key, claim = wmx.OwnerKey.load(out / "owner.pem"), wmx.Claim.load(out / "claim.json")
    assert wmx.verify(out / "model.onnx", wmx.Watermark.open(claim, key)).verified
