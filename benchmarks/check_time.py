"""How long does ``wmx check`` take, and how many triggers does an evidence disclose?

The check of an evidence with 100 openings of 28 x 28, without and with the model, against
``python -c "import typer"``, the start of the interpreter and of the command line; processes are
timed whole, in turns.  The triggers are counted that reach 128 bits for the demo's trained model
and for a model that knows every label; the demo is trained with each of ``--seeds`` fresh keys.

    python benchmarks/check_time.py
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

from wmx import Claim, OwnerKey, Watermark
from wmx.cli.output import NOT_VERIFIED
from wmx.suspect.suspect import open_suspect
from wmx.verification.ledger import Ledger
from wmx.verification.prove import prove

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import onnx_models

ROUNDS = 15
SCRIPT = Path(sys.executable).with_name("wmx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    # bytecode is cached in an installation; do not let this shell's settings take that away
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment["WMX_HOME"] = str(folder / "store")

        def call(*words: str | Path, exit_code: int = 0) -> None:
            done = subprocess.run(
                [str(word) for word in words],
                check=False,
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            if done.returncode != exit_code:
                raise SystemExit(f"{words} ended with {done.returncode}, expected {exit_code}")

        owner = OwnerKey.generate()
        owner.save(folder / "owner.pem")
        watermark = Watermark.new(owner, shape=(28, 28, 1), classes=10)
        (folder / "model.onnx").write_bytes(onnx_models.knows_labels(watermark))
        perfect = disclosed(folder / "model.onnx", watermark, owner, folder / "owner.pem")
        whole = Watermark.new(owner, shape=(28, 28, 1), classes=10)
        (folder / "whole.onnx").write_bytes(onnx_models.knows_labels(whole))
        prove(
            open_suspect(folder / "whole.onnx", "cpu"),
            whole,
            owner,
            folder / "evidence.json",
            Ledger(folder / "owner.pem", whole.claim),
            required_bits=128,
            reveal="all",
        )
        trained = []
        for seed in range(arguments.seeds):
            demo = folder / f"demo-{seed}"
            call(SCRIPT, "demo", "--out", demo)
            key = OwnerKey.load(demo / "owner.pem")
            mark = Watermark.open(Claim.load(demo / "claim.json"), key)
            trained.append(disclosed(demo / "model.onnx", mark, key, demo / "owner.pem"))
        seconds = harness.alternate(
            {
                # without the model the answers are the owner's word, and that is not verified
                "wmx check": lambda: call(SCRIPT, "check", "evidence.json", exit_code=NOT_VERIFIED),
                "wmx check --model": lambda: call(
                    SCRIPT, "check", "evidence.json", "--model", "whole.onnx"
                ),
                "import typer": lambda: call(sys.executable, "-c", "import typer"),
            },
            ROUNDS,
        )
    harness.record(
        "check_time",
        {
            "openings": 100,
            **harness.ratio(seconds, "wmx check", "import typer"),
            "triggers_for_128_bits": {"perfect": perfect, "trained": trained},
        },
    )


def disclosed(model: Path, watermark: Watermark, owner: OwnerKey, key: Path) -> int:
    """Return how many triggers the first evidence of a model discloses for 128 bits."""
    evidence = prove(
        open_suspect(model, "cpu"),
        watermark,
        owner,
        model.with_suffix(".evidence.json"),
        Ledger(key, watermark.claim),
        required_bits=128,
    )
    return len(evidence.trigger_slice)


if __name__ == "__main__":
    main()
