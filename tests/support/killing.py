"""Killing wmx in the middle of its work, and looking at what it leaves: for tests and benchmarks.

Half of the kills come at a random time, half at a random one of the steps that touch files, which
a random time would seldom meet.  The killed process has umask 0, so that every mode is wmx's own.
What is killed is in :mod:`kill_operations`.
"""

import os
import random
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

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
    if event in ("open", "os.link", "os.rename", "os.remove", "os.mkdir"):
        path = arguments[0]
        if isinstance(path, (str, os.PathLike)):
            path = os.fspath(path)
            if not os.path.isabs(path) or path.startswith((here, "/proc/self/fd")):
                step()
fsync = os.fsync
def counted(descriptor):
    step(); fsync(descriptor); step()
os.fsync = counted
sys.addaudithook(watch)
from wmx._internal import writing
short = writing.temporary_beside
def telling(path):  # for whom: what is left is looked at as what it was to be
    return path.with_name(f"{short(path).name[:-4]}.{path.name}.tmp")
writing.temporary_beside = telling
from wmx.cli import run
code = run(sys.argv[3:])
print(steps)
sys.exit(code)
"""
NEVER = 0
# in the path: the store has a folder triggers, and the ledger lies in owner.pem.spent
SECRET = ("owner.pem", "triggers", ".safetensors", "evidence")
FRAMEWORK = Path(__file__).with_name("linear_framework")  # for commands that train


@dataclass(frozen=True)
class Operation:
    """A command and what it may leave.

    Attributes:
        words: of the command.
        prepare: makes what has to be there before, in the folder.
        check: raises if a file is neither the old nor a new one.
        codes: with which it may end when nobody kills it.
        more: words that a later run has beside these, which what was left must not hinder.
        ending: raises if that later run has left anything but its own whole files; ``check`` if
            not given.
    """

    words: tuple[str, ...]
    prepare: Callable[[Path], None]
    check: Callable[[Path], None]
    codes: tuple[int, ...] = (0,)
    more: tuple[str, ...] = ("--force",)
    ending: Callable[[Path], None] | None = None

    @property
    def again(self) -> tuple[str, ...]:
        """The words of a later run."""
        return (*self.words, *(word for word in self.more if word not in self.words))


@dataclass(frozen=True)
class Length:
    """How long an operation goes on when it is left alone: seconds, and steps that touch files."""

    seconds: float
    steps: int


@dataclass
class Outcome:
    """What one kill led to; the exit code is -9 where the command was killed."""

    code: int
    problems: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)  # temporary files

    @property
    def killed(self) -> bool:
        """Whether the kill came before the command's end."""
        return self.code == -9


def run_alone(operation: Operation, folder: Path) -> Length:
    """Run an operation in an empty folder to its end."""
    operation.prepare(folder)
    began = time.monotonic()
    process = _start(operation.words, folder)
    said, _ = process.communicate()
    assert process.returncode in operation.codes, operation.words
    (operation.ending or operation.check)(folder)
    return Length(time.monotonic() - began, int(said.split()[-1]))


def kill_once(operation: Operation, folder: Path, rng: random.Random, length: Length) -> Outcome:
    """Run an operation in an empty folder, kill it somewhere, and judge what is left.

    Args:
        operation: what to run.
        folder: where; empty.
        rng: decides when to kill.
        length: of the operation when it is left alone.
    """
    operation.prepare(folder)
    by_step = rng.random() < 0.5
    naming = rng.choice(["named", "nameless"])
    at = rng.randrange(1, length.steps + 1) if by_step else NEVER
    with modes_watched(folder) as too_open:
        process = _start(operation.words, folder, at, naming)
        if not by_step:
            time.sleep(rng.uniform(0.2, 1.05) * length.seconds)
            process.kill()
        process.communicate()
    outcome = Outcome(process.returncode, sorted(too_open))
    outcome.leftovers += [path.name for path in folder.rglob(".*.tmp")]
    try:
        operation.check(folder)
        if naming == "nameless":  # only a file that is whole gets even a temporary name
            with TemporaryDirectory() as copy:
                operation.check(_with_leftovers_in_place(folder, Path(copy)))
        later = _start(operation.again, folder)
        later.communicate()
        (operation.ending or operation.check)(folder)
    except Exception as error:  # whatever a broken file leads to
        outcome.problems.append(f"{type(error).__name__}: {error}")
    else:
        if later.returncode not in operation.codes:
            outcome.problems.append(f"a later run ended with {later.returncode}")
    return outcome


def run(words: tuple[str, ...], folder: Path) -> int:
    """Run a command in a folder to its end and return its exit code."""
    process = _start(words, folder)
    process.communicate()
    return process.returncode


def _with_leftovers_in_place(folder: Path, copy: Path) -> Path:
    """Copy a folder and give every temporary file the name that it was meant for."""
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    for path in list(copy.rglob(".*.tmp")):
        path.replace(path.with_name(path.name.split(".", 2)[2].removesuffix(".tmp")))
    return copy


def _start(
    words: tuple[str, ...], folder: Path, at: int = NEVER, naming: str = "nameless"
) -> subprocess.Popen[str]:
    """Start a command in a folder, which holds its store and its temporary files too."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    places = [str(FRAMEWORK), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {
        "WMX_HOME": str(folder / "store"),
        "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join(places),
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(at), naming, *words],
        cwd=folder,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        umask=0,
    )


@contextmanager
def modes_watched(folder: Path) -> Iterator[set[str]]:
    """Collect the secret files that others can read at any moment."""
    too_open: set[str] = set()
    done = threading.Event()

    def look() -> None:
        names = ((where, name) for where, _, files in os.walk(folder) for name in files)
        for path in (Path(where) / name for where, name in names):  # folders may go meanwhile
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

    def watch() -> None:
        while not done.wait(0.0005):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield too_open
    finally:
        done.set()
        watcher.join()
        look()  # at what a kill has left
