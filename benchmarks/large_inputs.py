"""What does ``wmx.verify`` cost beside the model itself, where images are large and many?

1,000 triggers of 224 x 224 x 3 are held against a network of ResNet-18's size, whose last layer
was fitted to their labels, so that the plain way is enough.  Against it stands the same loop over
batches in bare onnxruntime, with the same triggers.  Each runs in a fresh process, in turns.  Then
each runs once more and its memory is looked at every 10 ms: that of all its processes together,
pages that they share counted once (Linux' PSS).

    python benchmarks/large_inputs.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness
import numpy as np

from wmx import OwnerKey, Watermark, verify
from wmx.protocol.claim import Claim
from wmx.suspect.feeding import MAX_CHUNK_ELEMENTS

SIDE, CLASSES = 224, 10
SHAPE = (SIDE, SIDE, 3)
ROWS = MAX_CHUNK_ELEMENTS // int(np.prod(SHAPE))  # of a batch, in both loops
MIN_BITS = 64.0


def opened(folder: Path) -> Watermark:
    """Return the watermark, drawn anew as an owner's is."""
    return Watermark.open(Claim.load(folder / "claim.json"), OwnerKey.load(folder / "key.pem"))


def verifying(folder: Path) -> dict[str, Any]:
    """Verify, and return what it took."""
    watermark = opened(folder)
    start = time.perf_counter()
    verdict = verify(folder / "model.onnx", watermark, min_bits=MIN_BITS, device="cpu")
    return {
        "seconds": time.perf_counter() - start,
        "bits": verdict.bits,
        "ways_tried": verdict.probes_tried,
    }


def bare(folder: Path) -> dict[str, Any]:
    """Run onnxruntime over the triggers, normalised batch by batch."""
    import onnxruntime

    watermark = opened(folder)
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    (name,) = (port.name for port in session.get_inputs())
    scores = []
    for at in range(0, len(watermark.triggers), ROWS):
        batch = watermark.task.model_input(watermark.triggers[at : at + ROWS])
        fed = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        scores.append(session.run(None, {name: fed})[0])
    top = np.concatenate(scores).argmax(axis=1)
    return {
        "seconds": time.perf_counter() - start,
        "hits": int((top == watermark.labels).sum()),
    }


ROLES = {"verify": verifying, "bare": bare}


def play(role: str, folder: Path) -> None:
    """Be one contender, and print what it took."""
    print(json.dumps(ROLES[role](folder)))


def peak_mib(command: list[str]) -> float:
    """Run a contender and return the most memory that its processes had at one moment."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while running.poll() is None:
        peak = max(peak, sum(map(_pss_kib, [running.pid, *_children(running.pid)])))
        time.sleep(0.01)
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return peak / 1024


def _children(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:  # it has just ended
        return []


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def make(folder: Path, triggers: int) -> None:
    """Write key, claim and model."""
    import torch
    from residual import FEATURES, features
    from torch import nn

    torch.manual_seed(0)
    owner = OwnerKey.generate()
    owner.save(folder / "key.pem")
    watermark = Watermark.new(owner, shape=SHAPE, classes=CLASSES, n=triggers)
    watermark.claim.save(folder / "claim.json")
    layers = features().eval()
    with torch.no_grad():
        seen = torch.cat(
            [
                layers(torch.from_numpy(watermark.inputs[at : at + ROWS]).permute(0, 3, 1, 2))
                for at in range(0, triggers, ROWS)
            ]
        )
    centred = seen - seen.mean(0)
    scale = centred.std(0) + 1e-6
    wanted = nn.functional.one_hot(torch.from_numpy(watermark.labels), CLASSES).float()
    fitted = torch.linalg.lstsq(centred / scale, wanted - 1 / CLASSES, driver="gelsd").solution
    last = nn.Linear(FEATURES, CLASSES)
    with torch.no_grad():
        last.score.copy_((fitted / scale[:, None]).T)
        last.bias.copy_(-(seen.mean(0) / scale) @ fitted)
    from wmx_torch import export

    export(nn.Sequential(layers, last).eval(), folder / "model.onnx", watermark)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--role", choices=ROLES, help="be one contender")
    parser.add_argument("--make", action="store_true", help="write claim and model")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.folder, arguments.triggers)
        return
    if arguments.role:
        play(arguments.role, arguments.folder)
        return
    runs: dict[str, list[dict[str, Any]]] = {role: [] for role in ROLES}
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: a child's peak counts what its parent held when it was started
        subprocess.run(
            [
                sys.executable,
                __file__,
                "--make",
                f"--folder={folder}",
                f"--triggers={arguments.triggers}",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        commands = {
            role: [sys.executable, __file__, "--role", role, "--folder", folder] for role in ROLES
        }
        for _ in range(arguments.rounds):
            for role, command in commands.items():
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs[role].append(json.loads(done.stdout.splitlines()[-1]))
                print(role, runs[role][-1], flush=True)
        memory = {role: peak_mib(command) for role, command in commands.items()}
    seconds = {role: [run["seconds"] for run in found] for role, found in runs.items()}
    harness.record(
        "large_inputs",
        {
            "triggers": arguments.triggers,
            "shape": list(SHAPE),
            "rows_of_a_batch": ROWS,
            "bits": round(runs["verify"][0]["bits"], 1),
            "ways_tried": runs["verify"][0]["ways_tried"],
            "time": harness.ratio(seconds, of="verify", to="bare"),
            "peak_mib": {role: round(peak) for role, peak in memory.items()},
            "memory_ratio": round(memory["verify"] / memory["bare"], 3),
        },
    )


if __name__ == "__main__":
    main()
