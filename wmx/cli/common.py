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
    "WeightsOption",
    "answer",
    "held_to_limits",
    "integers",
    "keep_in_store",
    "keep_replaced_claim",
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
    typer.Option("--key", metavar="FILE", help="Owner key; the store's if not given."),
]
RootsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.pem",
        help="Root certificates of timestamp authorities you trust; the store's if not given.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
MinBitsOption = Annotated[
    float | None,
    typer.Option(help="Bits to ask for instead of 128 (64 with a trusted timestamp)."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.html", help="Write a page about it, for people."),
]
SecondsOption = Annotated[
    float | None,
    typer.Option(help="Most time for it all, typing a passphrase apart, in seconds; 600."),
]
MemoryOption = Annotated[
    float | None,
    typer.Option(
        help="Most memory, in GiB, in this process and, beside its files, in the suspect's; 4."
    ),
]
WeightsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="A file beside the model that holds its weights, if its name is not made from the "
        "model's; repeatable.",
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


def keep_replaced_claim(path: Path, images: Path, owner: "OwnerKey") -> None:
    """Add a claim to the store whose file is about to be replaced: a model may bear its mark.

    Args:
        path: of the claim, if there is one.
        images: the secret images of its triggers, if there are any.
        owner: whose claims are kept; with another key nothing can be proved by it.
    """
    from wmx.errors import WmxError
    from wmx.protocol.claim import Claim
    from wmx.triggers.trigger_file import load_images
    from wmx.watermark import Watermark

    try:
        claim = Claim.load(path)
        found = load_images(images) if images.exists() else None
        watermark = Watermark.open(claim, owner, images=found)
    except WmxError:  # there is none, or none that proves anything
        return
    keep_in_store(watermark)
    store().keep_timestamps(claim)


def key_file(path: Path | None) -> Path:
    """Return ``path``, or the store's key."""
    return path or store().require_key()


def trusted_roots(path: Path | None, files: "Iterable[Stamped]") -> "Roots":
    """Return the root certificates to check the timestamps of claims and release records against.

    Those of the file ``path``, else of the folder ``roots`` in the store.  Nothing is loaded where
    none of ``files`` bears a timestamp.
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
    """Collect garbage again, and tell thread pools to sleep while they wait, not to spin.

    On a busy machine spinning threads take the cores from each other: the demonstration, 14 s on
    two idle cores, took 132 s beside one other job, and 33 s with this (one thread: 21 s).  What
    the user has set in the environment stays.  To be called before the framework is imported.

    Args:
        threads: per operation, for models too small to gain from more.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets on every start
    gc.enable()
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def null_stream() -> "Generator":
    """Return the stream of a page's simulated nulls: the same for everybody who repeats it."""
    from numpy.random import default_rng

    return default_rng(NULL_SEED)


def suspect_limits(
    seconds: float | None, gib: float | None, usual: "Limits | None" = None
) -> "Limits":
    """Return the limits of what hangs on a stranger's files.

    Args:
        seconds, gib: of time and memory; as ``usual`` if ``None``.
        usual: the library's for verifying if ``None``.

    Raises:
        UsageError: they are not positive, or absurd.
    """
    from dataclasses import replace

    from wmx.suspect.sandbox.limits import GIB, Limits

    limits = usual or Limits()
    if seconds is not None:
        if not 0 < seconds < MAX_SECONDS:
            raise UsageError(f"--seconds is {seconds:g}, expected more than 0, and at most a month")
        cpu_seconds = int(seconds * (os.cpu_count() or 1)) + 1
        limits = replace(limits, seconds=seconds, cpu_seconds=cpu_seconds)
    if gib is not None:
        if not 0 < gib < MAX_GIB:
            raise UsageError(f"--memory is {gib:g}, expected GiB between 0 and {MAX_GIB}")
        limits = replace(limits, memory_bytes=int(gib * GIB))
    return limits


def held_to_limits(command: Callable[P, R]) -> Callable[P, R]:
    """Hold all of a command to its options ``--seconds`` and ``--memory``, if it has them.

    The suspect's process draws on the same budget, and so does what is read of a stranger's claim
    or evidence; the time in which a passphrase is typed does not count.
    """

    @wraps(command)
    def held(*words: P.args, **options: P.kwargs) -> R:
        given: dict[str, Any] = {name: options.get(name) for name in ("seconds", "memory")}
        with held_to(suspect_limits(given["seconds"], given["memory"]).budget()):
            return command(*words, **options)

    return held


def never_weights(key: Path | None, *read: Path | None) -> "Iterator[Path]":
    """Yield what a command reads, and secrets at home.

    No model is ever given any of it as its weights, and no output replaces it.

    Args:
        key: the owner key; the store's if ``None``.
        read: other files of the command.
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
    """Split ``"0.1,0.2"`` into its parts, which stay decimal strings."""
    parts = [part.strip() for part in text.split(",")]
    try:
        for part in parts:
            float(part)
    except ValueError:
        raise UsageError(f"{option} is {text!r}, expected numbers such as 0.5 or 0.5,0.4") from None
    return parts


def integers(text: str, option: str) -> list[int]:
    """Split ``"28,28,1"`` or ``"28x28x1"`` into integers."""
    try:
        return [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        raise UsageError(f"{option} is {text!r}, expected integers such as 28,28,1") from None
