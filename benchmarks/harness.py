"""What every benchmark shares: timing side by side, and results that say how they were made."""

import ctypes
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h
PACKAGES = (
    *("numpy", "onnxruntime-gpu", "onnxruntime", "torch", "tensorflow", "keras", "jax", "flax"),
    "typer",
)


def record(name: str, figures: Mapping[str, Any]) -> None:
    """Write ``results/NAME.json``: the figures, the command, the date and the machine."""
    document = {
        "benchmark": name,
        "command": " ".join(["python", *_as_from_the_root(sys.argv)]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            **{package: found for package in PACKAGES if (found := _version(package))},
            **_accelerator(),
        },
        **figures,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    print(f"written to {path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else path)


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed, and do nothing where there is another C library.

    By default it gives large blocks back and takes them anew, page by page.  Of contenders in one
    process those pay whose blocks are a little larger than what the first ones left behind.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for parameter in M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD:
            library.mallopt(parameter, 2**30)


def alternate(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time contenders in turns, so that a slow minute of the machine hits all of them.

    Args:
        contenders: what is timed, by name.
        rounds: how often each is.
        clock: wall seconds; or ``time.process_time``, CPU seconds of this process, which do not
            grow when others have the cores.

    Returns:
        seconds of each, one per round; a first round is run and thrown away.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            start = clock()
            contender()
            if number:
                seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], of: str, to: str) -> dict[str, Any]:
    """Return both medians and their ratio."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "seconds": {
            name: [round(value, 4) for value in values] for name, values in seconds.items()
        },
        "median_seconds": {name: round(value, 4) for name, value in medians.items()},
        "ratio": round(medians[of] / medians[to], 3),
    }


def _version(package: str) -> str | None:
    """Return a package's version; not every machine has all of them."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _accelerator() -> dict[str, str]:
    """Return the GPU's name, where there is one."""
    if shutil.which("nvidia-smi") is None:
        return {}
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return {"gpu": found.splitlines()[0]} if found else {}


def _as_from_the_root(arguments: list[str]) -> list[str]:
    """Return the command as given in the repository's root, without this machine's folders."""
    return [
        f"benchmarks/{Path(arguments[0]).name}",
        *(
            Path(word).name if os.path.isabs(word) or word.startswith("..") else word
            for word in arguments[1:]
        ),
    ]
