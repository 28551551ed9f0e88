"""Options and small helpers that several commands share."""

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from wmx._internal.budget import held_to
from wmx._internal.files import read_bytes
from wmx.cli.output import answer, table
from wmx.cli.passphrase import PASSPHRASE_VARIABLE, stored_passphrase, typed_passphrase
from wmx.errors import UsageError

if TYPE_CHECKING:
    from numpy.random import Generator

    from wmx.protocol.keys import OwnerKey
    from wmx.protocol.stamped import Stamped
    from wmx.protocol.timestamp import Roots
    from wmx.suspect.sandbox.limits import Limits
    from wmx.verification.store import Store
    from wmx.watermark import Watermark

__all__ = [
    "DeviceChoice",
    "DeviceOption",
    "ForceOption",
    "JsonOption",
    "KeyOption",
    "MemoryOption",
    "MinBitsOption",
    "ReportOption",
    "RootsOption",
    "SecondsOption",
    "TriggersOption",
    "WeightsOption",
    "answer",
    "held_to_limits",
    "integers",
    "keep_in_store",
    "key_file",
    "load_owner",
    "never_weights",
    "null_stream",
    "numbers",
    "prepare_training",
    "store",
    "suspect_limits",
    "table",
    "trusted_roots",
]

P = ParamSpec("P")
R = TypeVar("R")
NULL_SEED = 0
MAX_SECONDS = 31 * 24 * 3600
MAX_GIB = 2**20

KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Your owner key (default: the one in your store)."),
]
RootsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.pem",
        help="Root certificates of the timestamp authorities you trust (default: your store's).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace existing files of the kind that is written; others stay."
    ),
]
MinBitsOption = Annotated[
    float | None,
    typer.Option(help="Bits required to verify (default: 128, or 64 with a trusted timestamp)."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.html", help="Also write an HTML report."),
]
SecondsOption = Annotated[
    float | None,
    typer.Option(help="Time limit in seconds, not counting passphrase entry (default: 600)."),
]
MemoryOption = Annotated[
    float | None,
    typer.Option(
        help="Memory limit in GiB, of this process and of the one that runs the model (default: 4)."
    ),
]
TriggersOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Trigger images of a claim made with --trigger-images: triggers.safetensors in the "
        "folder of wmx embed, or CLAIM.triggers.safetensors.",
    ),
]
WeightsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="A file with weights of the model, in its folder; needed only if its name is not "
        "derived from the model's; repeatable.",
    ),
]


class DeviceChoice(StrEnum):
    """Devices, as the command line spells them."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    tensorrt = "tensorrt"


DeviceOption = Annotated[DeviceChoice, typer.Option(help="Where to run the model.")]


def store() -> "Store":
    """Return the owner's store."""
    from wmx.verification.store import Store

    return Store()


def keep_in_store(watermark: "Watermark") -> None:
    """Add a claim to the owner's store, with its images where no key can rebuild its triggers."""
    store().add(watermark.claim, watermark.own_images)


def key_file(path: Path | None) -> Path:
    """Return ``path``, or the store's key."""
    return path or store().require_key()


def trusted_roots(path: Path | None, files: "Iterable[Stamped]") -> "Roots":
    """Return the root certificates to check timestamps against.

    Args:
        path: PEM file of certificates; the folder ``roots`` of the store if ``None``.
        files: claims and release records; if ``path`` is ``None`` and none of them bears a
            timestamp, no certificate is loaded.

    Raises:
        CannotRunError: a file cannot be read.
        IntegrityError: a file holds no certificates.
    """
    if path is None and not any(file.timestamps for file in files):
        return ()
    from wmx.protocol.timestamp import load_roots

    given = store().roots() if path is None else [path]
    return [certificate for file in given for certificate in load_roots(file)]


def load_owner(path: Path | None) -> "OwnerKey":
    """Return the key at ``path``, or the store's; ask for a passphrase where one is needed.

    The passphrase is the first line of the file that ``WMX_PASSPHRASE_FILE`` names, or is asked
    for on a terminal.
    """
    from wmx.protocol.keys import MAX_KEY_BYTES, OwnerKey, is_encrypted

    key_path = key_file(path)
    pem = read_bytes(key_path, "owner key", MAX_KEY_BYTES)
    passphrase = stored_passphrase() if is_encrypted(pem) else None
    if passphrase is None and is_encrypted(pem) and sys.stdin.isatty():
        passphrase = typed_passphrase(f"Passphrase of {key_path}: ")
    return OwnerKey.from_pem(pem, passphrase, str(key_path))


def prepare_training(threads: int | None = None) -> None:
    """Turn the garbage collector on again, and let waiting threads sleep rather than spin.

    On a busy machine spinning threads take the cores from each other: the demo, 14 s on two idle
    cores, took 132 s beside one other job, and 33 s with this (with one thread: 21 s).  What the
    user has set in the environment stays.  Call it before the framework is imported.

    Args:
        threads: threads per operation, for models too small to gain from more; the framework's
            choice if ``None``.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets on every start
    gc.enable()
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def null_stream() -> "Generator":
    """Return the random generator of a report's simulated null models: the same in every run."""
    from numpy.random import default_rng

    return default_rng(NULL_SEED)


def suspect_limits(
    seconds: float | None, gib: float | None, usual: "Limits | None" = None
) -> "Limits":
    """Return the limits of time and memory for the work on a stranger's files.

    Args:
        seconds: limit of time; that of ``usual`` if ``None``.
        gib: limit of memory in GiB; that of ``usual`` if ``None``.
        usual: what holds where an option is not given; the defaults of verifying if ``None``.

    Raises:
        UsageError: a limit is not positive, or absurdly high.
    """
    from dataclasses import replace

    from wmx.suspect.sandbox.limits import GIB, Limits

    limits = usual or Limits()
    if seconds is not None:
        if not 0 < seconds < MAX_SECONDS:
            raise UsageError(f"--seconds is {seconds:g}, expected more than 0 and at most a month")
        cpu_seconds = int(seconds * (os.cpu_count() or 1)) + 1
        limits = replace(limits, seconds=seconds, cpu_seconds=cpu_seconds)
    if gib is not None:
        if not 0 < gib < MAX_GIB:
            raise UsageError(f"--memory is {gib:g}, expected GiB between 0 and {MAX_GIB}")
        limits = replace(limits, memory_bytes=int(gib * GIB))
    return limits


def held_to_limits(command: Callable[P, R]) -> Callable[P, R]:
    """Apply the options ``--seconds`` and ``--memory``, or their defaults, to a whole command.

    The suspect's process counts against the same budget, and so does reading a stranger's claim or
    evidence; the time in which a passphrase is typed does not count.
    """

    @wraps(command)
    def held(*words: P.args, **options: P.kwargs) -> R:
        given: dict[str, Any] = {name: options.get(name) for name in ("seconds", "memory")}
        with held_to(suspect_limits(given["seconds"], given["memory"]).budget()):
            return command(*words, **options)

    return held


def never_weights(key: Path | None, *read: Path | None) -> "Iterator[Path]":
    """Yield the files that a command reads, and those of the owner's secrets.

    None of them is ever given to a model as its weights, or replaced by an output.

    Args:
        key: the owner key; the store's if ``None``.
        read: other files that the command reads.
    """
    from wmx.verification.ledger import ledger_folder

    yield from (path for path in read if path is not None)
    home = store()
    yield home.folder
    for path in (key or home.key_path, home.key_path):
        yield path
        yield ledger_folder(path)
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    if passphrase:
        yield Path(passphrase)


def numbers(text: str, option: str) -> list[str]:
    """Split ``"0.1,0.2"`` into its parts, which stay decimal strings.

    Args:
        text: what an option was given.
        option: its name, for the error.

    Raises:
        UsageError: a part is not a number.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        for part in parts:
            float(part)
    except ValueError:
        raise UsageError(f"{option} is {text!r}, expected numbers such as 0.5 or 0.5,0.4") from None
    return parts


def integers(text: str, option: str) -> list[int]:
    """Split ``"28,28,1"`` or ``"28x28x1"`` into integers.

    Args:
        text: what an option was given.
        option: its name, for the error.

    Raises:
        UsageError: a part is not an integer.
    """
    try:
        return [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        raise UsageError(f"{option} is {text!r}, expected integers such as 28,28,1") from None
