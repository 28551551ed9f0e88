"""Killing wmx in the middle of its work, and looking at what it leaves: for tests and benchmarks.

Half of the kills come at a random time, half at a random one of the steps that touch files, which
a random time would seldom meet.  The killed process has umask 0, so that every mode is wmx's own.
"""

import random
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wmx import Claim, OwnerKey
from wmx.store import Store
from wmx.trigger_file import load_images

# runs the command line and ends itself by SIGKILL at the given step that touches the folder
PROGRAM = """
import os, signal, sys
at, named, here = int(sys.argv[1]), sys.argv[2] == "named", os.getcwd()
if named:
    del os.O_TMPFILE  # as where the disk cannot make files without a name
steps = 0
def step():
    global steps
    steps += 1
    if steps == at:
        os.kill(os.getpid(), signal.SIGKILL)
def watch(event, arguments):
    if event in ("open", "os.link", "os.rename", "os.remove", "os.mkdir") and arguments:
        if str(arguments[0]).startswith((here, ".", "/proc/self/fd", "o", "c", "m")):
            step()
fsync = os.fsync
def counted(descriptor):
    step(); fsync(descriptor); step()
os.fsync = counted
sys.addaudithook(watch)
from wmx.cli import run
sys.exit(run(sys.argv[3:]))
"""
NEVER = 0
SECRET = ("owner.pem", "triggers", ".safetensors")  # in the path: the store has a folder triggers


@dataclass(frozen=True)
class Operation:
    """A command and what it may leave.

    Attributes:
        words: of the command.
        prepare: makes what has to be there before, in the folder.
        check: raises if a file is neither the old nor a new one.
        steps: that touch files, about; a kill is set at one of them.
    """

    words: tuple[str, ...]
    prepare: Callable[[Path], None]
    check: Callable[[Path], None]
    steps: int


@dataclass
class Outcome:
    """What one kill led to; the exit code is -9 where the command was killed."""

    code: int
    problems: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        """Whether the kill came before the command's end."""
        return self.code == -9


def kill_once(
    operation: Operation,
    folder: Path,
    rng: random.Random,
    seconds: float,
    environment: dict[str, str],
) -> Outcome:
    """Run an operation in an empty folder, kill it somewhere, and judge what is left.

    Args:
        operation: what to run.
        folder: where; empty.
        rng: decides when to kill.
        seconds: that the operation takes when it is left alone.
        environment: of the process; ``WMX_HOME`` is set to a store in the folder.
    """
    operation.prepare(folder)
    by_step = rng.random() < 0.5
    naming = rng.choice(["named", "nameless"])
    at = rng.randrange(1, operation.steps) if by_step else NEVER
    with modes_watched(folder) as too_open:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(at), naming, *operation.words],
            cwd=folder,
            env=environment | {"WMX_HOME": str(folder / "store")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            umask=0,
        )
        if not by_step:
            time.sleep(rng.uniform(0.2, 1.05) * seconds)
            process.kill()
        process.wait()
    outcome = Outcome(process.returncode, sorted(too_open))
    for path in folder.rglob(".*.tmp"):
        outcome.leftovers.append(path.name)
        if naming == "nameless" and "--force" not in operation.words:
            outcome.problems.append(f"{path.name} was left")
    try:
        operation.check(folder)
    except Exception as error:  # whatever a broken file leads to
        outcome.problems.append(f"{type(error).__name__}: {error}")
    return outcome


@contextmanager
def modes_watched(folder: Path) -> Iterator[set[str]]:
    """Collect the secret files that others can read at any moment."""
    too_open: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for path in folder.rglob("*"):
                try:
                    mode = path.stat().st_mode
                except OSError:
                    continue
                if (
                    stat.S_ISREG(mode)
                    and mode & 0o077
                    and any(secret in str(path.relative_to(folder)) for secret in SECRET)
                ):
                    too_open.add(f"{path.name} has mode {stat.S_IMODE(mode):o}")
            time.sleep(0.0005)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield too_open
    finally:
        done.set()
        watcher.join()


# the operations that need no framework


def nothing(folder: Path) -> None:
    """Prepare nothing."""


def old_key(folder: Path) -> None:
    """A key that is to be replaced or kept."""
    OwnerKey.generate().save(folder / "owner.pem")


def whole_key(folder: Path) -> None:
    """The key is a key, or is not there."""
    path = folder / "owner.pem"
    if path.exists():
        OwnerKey.load(path)


def replaced_key(folder: Path) -> None:
    """The key is the old or the new one; it is never missing."""
    OwnerKey.load(folder / "owner.pem")


def whole_claims(folder: Path) -> None:
    """Key, claims, secret images and the store are whole, or are not there."""
    whole_key(folder)
    for path in folder.glob("*.json"):
        Claim.load(path)
    for path in folder.rglob("*.triggers.safetensors"):
        load_images(path)
    store = Store(folder / "store")
    for claim in store.claims():
        if claim.is_over_own_images:
            load_images(store.folder / "triggers" / f"{claim.digest}.safetensors")


def whole_store(folder: Path) -> None:
    """The store's key is a key, or is not there."""
    whole_key(folder / "store")


CLAIM = ("claim", "new", "--shape", "8,8,1", "--classes", "10", "-o", "claim.json")
OPERATIONS = {
    "keygen": Operation(("keygen", "-o", "owner.pem"), nothing, whole_key, 10),
    "keygen in the store": Operation(("keygen",), nothing, whole_store, 13),
    "keygen --force": Operation(
        ("keygen", "-o", "owner.pem", "--force"), old_key, replaced_key, 11
    ),
    "claim new": Operation((*CLAIM, "--key", "owner.pem"), old_key, whole_claims, 23),
}
