"""What is left when ``wmx keygen`` and ``wmx verify --evidence`` are killed at random moments?

Each run is killed (SIGKILL) after a time drawn uniformly up to what an undisturbed run takes.
Then a key is there whole or not at all; an evidence is there whole, and its triggers are in the
ledger, or not at all; the ledger can be read and lost nothing; and none of these files, nor a
temporary one, can be read by others.

    python benchmarks/killed.py
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

from wmx import OwnerKey, Watermark
from wmx.evidence import Evidence
from wmx.ledger import Ledger

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import onnx_models

SCRIPT = Path(sys.executable).with_name("wmx")
TRIGGERS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        owner = OwnerKey.generate()
        owner.save(folder / "owner.pem")
        mark = Watermark.new(owner, shape=(8, 8, 1), classes=1000, n=TRIGGERS)
        mark.claim.save(folder / "claim.json")
        (folder / "model.onnx").write_bytes(onnx_models.knows_labels(mark))
        ledger = Ledger(folder / "owner.pem", mark.claim)
        verify = ("verify", "model.onnx", "--claim", "claim.json", "--key", "owner.pem")
        finished = {"keygen": 0, "evidence": 0}
        damaged: list[str] = []
        lasts = {
            "keygen": whole_run(folder, "keygen", "-o", "whole.pem"),
            "evidence": whole_run(folder, *verify, "--evidence", "whole.json"),
        }
        for number in range(arguments.runs):
            kind = ("keygen", "evidence")[number % 2]
            path = folder / f"{number}.{'pem' if kind == 'keygen' else 'json'}"
            words = ("keygen", "-o", path) if kind == "keygen" else (*verify, "--evidence", path)
            before = ledger.disclosures()
            killed_run(folder, moments.uniform(0, lasts[kind]), *words)
            finished[kind] += path.exists()
            damaged += damage(kind, path, ledger, before, folder)
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink()
    harness.record(
        "killed",
        {"runs": arguments.runs, "finished": finished, "damaged": len(damaged), "what": damaged},
    )


def damage(kind: str, path: Path, ledger: Ledger, before: list[object], folder: Path) -> list[str]:
    """Return what is wrong after a run."""
    found = []
    try:
        entries = ledger.disclosures()
        if entries[: len(before)] != before:
            found.append("the ledger lost an entry")
        if path.exists() and kind == "keygen":
            OwnerKey.load(path)
        elif path.exists():
            evidence = Evidence.load(path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            (entry,) = [entry for entry in entries if entry.evidence == digest]
            if (entry.start, entry.count) != (evidence.window.start, len(evidence.window)):
                found.append("the ledger has another window")
    except Exception as error:  # any error at all is a finding here
        found.append(f"{path.name}: {error!r}")
    secrets = [path, *folder.glob(".*.tmp"), *(folder / "owner.pem.spent").glob("**/*")]
    found += [
        f"{file.name} can be read by others"
        for file in secrets
        if file.exists() and file.stat().st_mode & 0o077
    ]
    return found


def whole_run(folder: Path, *words: object) -> float:
    """Return how long an undisturbed run takes, in seconds."""
    began = time.monotonic()
    subprocess.run(command(words), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def killed_run(folder: Path, seconds: float, *words: object) -> None:
    """Start a run and kill it after so many seconds, if it still goes on."""
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen(command(words), cwd=folder, stdout=nowhere, stderr=nowhere)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def command(words: tuple[object, ...]) -> list[str]:
    return [str(word) for word in (SCRIPT, *words)]


if __name__ == "__main__":
    main()
