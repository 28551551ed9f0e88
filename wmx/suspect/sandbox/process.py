"""Parent side of the sandbox: starts a child, queries it within limits, explains how it ended."""

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Self

from wmx._internal.budget import Budget, held, held_to, resident_bytes
from wmx.errors import CannotRunError, SuspectDiedError
from wmx.suspect.sandbox.limits import Limits

if TYPE_CHECKING:
    from wmx.suspect.sandbox.wire import Message

CHILD = "wmx.suspect.worker"
# no site, no user folder, no PYTHON* variables: the child imports from where this process did
# (collecting garbage while importing costs time and finds none)
BOOTSTRAP = (
    "import gc, importlib, sys; gc.disable(); child, *sys.path[:] = sys.argv[1:]; "
    "main = importlib.import_module(child).main; gc.enable(); main()"
)
# a child is given no other variable, so that it sees no tokens and paths of the user
ENVIRONMENT = (
    *("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL"),
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES", "CUDA_PATH", "CUDA_HOME"),
)
SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",  # the child computes nothing with numpy
    "MALLOC_ARENA_MAX": "2",  # each arena reserves address space, which is limited
    "CUDA_CACHE_DISABLE": "1",  # it may not write files
}
MAX_ANSWER_BYTES = 2**29
ANSWER_SHARE = 8  # of the memory: a reply is read, joined to others and turned into scores
PIPE_BYTES = 2**20  # the most that Linux allows every user
WATCH_SECONDS = 0.05
GRACE_SECONDS = 5.0
_ahead: list[subprocess.Popen[bytes]] = []  # processes that wait for their sandbox
INTERRUPTED = ("the suspect was interrupted", "query it again in a new process")
ROOM_HINT = "see docs/security.md; wmx.suspect.Limits and wmx verify --help say how to give it more"


class Sandbox:
    """A child process that answers one message at a time.

    Use it as a context manager, or call :meth:`close`; a child without references is killed.

    Attributes:
        limits: of the child.
        budget: time and memory for the work with it, in this process and the child: the one that
            was held when it was started, else a new one.
    """

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        self.limits = limits
        self.budget: Budget = held() or limits.budget()
        self._process = process
        self._max_resident: int | None = None
        self._death: SuspectDiedError | None = None
        self._finalizer = weakref.finalize(self, _end, process)
        _widen(process)

    @classmethod
    def start(cls, limits: Limits | None = None, child: str = CHILD) -> Self:
        """Start a child without waiting for it.

        Args:
            limits: of the child; the defaults of :class:`Limits` if ``None``.
            child: name of the module whose ``main`` it runs.

        Raises:
            CannotRunError: no process can be started.
        """
        process = _ahead.pop() if child == CHILD and _ahead else _started(child)
        return cls(process, limits or Limits())

    @property
    def max_answer_bytes(self) -> int:
        """Limit of one reply in bytes: a fraction of the memory of this process."""
        return min(self.limits.memory_bytes // ANSWER_SHARE, MAX_ANSWER_BYTES)

    @property
    def is_alive(self) -> bool:
        """Whether the child was neither closed nor seen to have ended."""
        return self._death is None

    def another(self, child: str = CHILD) -> "Sandbox":
        """Start a fresh child with the same limits; it draws on the budget that is held now.

        Where none is held, it draws on what is left of this one's.

        Args:
            child: name of the module whose ``main`` it runs.

        Raises:
            CannotRunError: no process can be started.
        """
        with held_to(held() or self.budget):
            return Sandbox.start(self.limits, child)

    def watch_memory(self, most: int) -> None:
        """Kill the child once its resident memory exceeds ``most`` bytes; on Linux only."""
        self._max_resident = most

    def ask(self, message: "Message") -> "Message":
        """Send a message and return the reply.

        Raises:
            SuspectDiedError: the child crashed, took too much time or memory, or sent a malformed
                reply, now or before.
        """
        from wmx.suspect.sandbox import wire

        if self._death is not None:
            raise self._death
        talk = _Talk(self._process, message, self.max_answer_bytes)
        self._wait_for(talk)
        if self._death is not None:
            raise self._death
        match talk.error:
            case wire.WireError():
                raise self.disown(f"sent a malformed message: {talk.error}")
            case OSError() | MemoryError():  # the pipe is broken
                pass
            case Exception():  # half of the request may be sent
                self._die(*INTERRUPTED)
                raise talk.error
        if talk.answer is None:
            self._death = self._last_words()
            raise self._death
        return talk.answer

    def disown(self, what: str) -> SuspectDiedError:
        """Kill a child that broke the protocol, and return the error to raise.

        Args:
            what: it did; completes "the suspect's process ...".
        """
        self._die(
            f"the suspect's process {what}",
            "the file may have taken over the process that ran it; treat it as hostile",
        )
        assert self._death is not None
        return self._death

    def close(self) -> None:
        """End the child."""
        self._death = self._death or SuspectDiedError("the suspect was closed already")
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _last_words(self) -> SuspectDiedError:
        """Return why the child has closed its end of the pipe."""
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return self.disown("closed its pipe and kept running")
        _kill_group(self._process.pid)  # at once: later its number may be another's
        return _cause(code, self.limits)

    def _die(self, message: str, hint: str) -> None:
        if self._death is None:
            self._death = SuspectDiedError(message, hint=hint)
        _kill(self._process)

    def _wait_for(self, talk: "_Talk") -> None:
        """Wait for the reply; kill the child when it takes too much time or memory."""
        with held_to(self.budget):
            try:
                talk.start()
                self._watch(talk, self.budget.wait_left)
            except (
                BaseException
            ):  # interrupted: the reply would be taken for that of the next request
                self._die(*INTERRUPTED)
                raise
            finally:
                if self._death is not None:
                    talk.end()

    def _watch(self, talk: "_Talk", seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not talk.ended.wait(self._pause(deadline)):
            if time.monotonic() >= deadline:
                most = f"{self.budget.seconds:g} s, its limit"
                if self.budget.seconds_left:
                    most = f"{seconds:.1f} s, its share of the time left"
                self._die(f"the suspect took longer than {most}", ROOM_HINT)
                return
            if self._takes_too_much():
                self._die(
                    f"the suspect took more than {self._max_resident:,} bytes of memory, its limit",
                    ROOM_HINT,
                )
                return

    def _takes_too_much(self) -> bool:
        most = self._max_resident
        return most is not None and resident_bytes(self._process.pid) > most

    def _pause(self, deadline: float) -> float:
        left = max(0.0, deadline - time.monotonic())
        return left if self._max_resident is None else min(left, WATCH_SECONDS)


def start_ahead() -> None:
    """Start the process of the next :class:`Sandbox` now, to get ready while this one imports.

    It reads nothing before it is taken; one that no sandbox takes ends when this process does,
    which closes its input.
    """
    with suppress(CannotRunError):  # whoever needs it will tell
        _ahead.append(_started(CHILD))


def _started(child: str) -> subprocess.Popen[bytes]:
    """Start a process that runs ``main`` of the module ``child``."""
    folders = [os.path.abspath(entry) for entry in sys.path]
    options = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    given = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter, no shell
            [sys.executable, *options, "-c", BOOTSTRAP, child, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=given | SETTINGS,
            cwd=os.path.abspath(os.sep),
            start_new_session=True,  # a group of its own, to be killed as a whole
        )
    except OSError as error:
        raise CannotRunError(
            f"cannot start a process for the suspect: {error.strerror}",
            hint="a model of your own can be run without: wmx.open_suspect(path, own=True)",
        ) from None


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Make the pipes hold more, so that large inputs take fewer turns; Linux alone knows how."""
    if sys.platform == "linux":
        import fcntl

        for pipe in filter(None, (process.stdin, process.stdout)):
            with suppress(OSError):  # an unprivileged user may have too many of them already
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class _Talk:
    """A request and its reply, in a thread of their own.

    A process that has left the child's group, which only the system-call filter prevents, can hold
    the pipes after the child was killed; the caller must not wait for it.

    Attributes:
        ended: set once there is a reply, or none will come.
        answer: the reply; ``None`` where the child has closed its end.
        error: that was raised instead.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], question: "Message", max_bytes: int
    ) -> None:
        self.ended = threading.Event()
        self.answer: Message | None = None
        self.error: Exception | None = None
        self._process = process
        self._left_alone = False
        self._thread = threading.Thread(
            target=self._run, args=(process.stdin, process.stdout, question, max_bytes), daemon=True
        )

    def start(self) -> None:
        """Start the thread; :attr:`ended` is set when it is done."""
        self._thread.start()

    def end(self) -> None:
        """Wait briefly after the child was killed; pipes still in use are left to the thread.

        Closing one here would wait until the thread is done with it.
        """
        if self._thread.is_alive():
            self._thread.join(GRACE_SECONDS)
        if self._thread.is_alive():
            self._left_alone = True
            self._process.stdin = self._process.stdout = None

    def _run(
        self, requests: IO[bytes], replies: IO[bytes], question: "Message", max_bytes: int
    ) -> None:
        from wmx.suspect.sandbox import wire

        try:
            wire.write(requests, question)
            self.answer = wire.read(replies, max_bytes)
        except Exception as error:  # raised again by the caller
            self.error = error
        finally:
            self.ended.set()
        if self._left_alone:
            _close(requests, replies)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and what it has started, which would hold its pipes."""
    if process.returncode is None:
        _kill_group(process.pid)
    process.kill()


def _kill_group(leader: int) -> None:
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):  # macOS says so where all are dead
            os.killpg(leader, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and release it; it holds nothing that needs saving."""
    _kill(process)
    _close(process.stdin, process.stdout)
    process.wait()


def _close(*pipes: IO[bytes] | None) -> None:
    for pipe in pipes:
        if pipe is not None:
            with suppress(OSError):  # what was not yet sent cannot be
                pipe.close()


def _cause(code: int, limits: Limits) -> SuspectDiedError:
    """Turn the exit status of a dead child into an error."""
    if code >= 0:
        return SuspectDiedError(
            f"the suspect's process ended by itself with exit code {code}",
            hint="check whether wmx can run models on this machine: wmx doctor",
        )
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if name == "SIGXCPU":
        return SuspectDiedError(
            f"the suspect took more than {limits.cpu_seconds:,} s of CPU time, its limit",
            hint=ROOM_HINT,
        )
    return SuspectDiedError(
        f"the suspect crashed the process that ran it ({name})",
        hint="the file is damaged or hostile, or needs more memory than its limit; "
        "nothing else was harmed",
    )
