"""What all that hangs on a stranger's files may take: one budget of time and memory.

A model, a claim, an evidence may each be made so that reading or asking it takes hours, or all of a
machine's memory, in the process that holds the key as well as in the model's own.  Whoever works on
them holds that work to a budget; the loops that a stranger can make long consult it, and memory
that a stranger can make large is asked for before it is taken.  Where no budget is held, as with
one's own files, nothing is limited.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from wmx.errors import LimitError

OWN_BYTES = 2**28  # for Python, its libraries and one's own triggers; no stranger makes them larger
ITEMS_AT_ONCE = 256  # of :func:`consulted`
LOOK_SECONDS = 0.02  # between looks at processor time and memory, which cost more than the clock
T = TypeVar("T")
FLOAT_BYTES = 8
FEW_FLOATS = 2**20  # less than is worth a look at memory
ROOM_HINT = "--seconds and --memory give it more, in Python wmx.Limits; see docs/security.md"


class Budget:
    """Time and memory that may be spent.

    Both count while the budget is held (:func:`held_to`), so that a suspect may stay open for days
    in a program that does other things.  Memory is that by which this process grows meanwhile, less
    :data:`OWN_BYTES`.

    Attributes:
        seconds: of wall time, in this process and waiting for others.
        cpu_seconds: of all threads of this process together.
        memory_bytes: by which this process may grow; looked at on Linux alone.
    """

    def __init__(self, seconds: float, cpu_seconds: float, memory_bytes: int) -> None:
        self.seconds = seconds
        self.cpu_seconds = cpu_seconds
        self.memory_bytes = memory_bytes
        self._clock = _Clock()
        self._wait_ends = float("inf")  # on the clock
        self._grown = 0  # bytes, while it was held before
        self._resident_before = 0
        self._next_look = 0.0

    @property
    def seconds_left(self) -> float:
        """Seconds of wall time that are left; none below 0."""
        return max(0.0, self.seconds - self._clock.seconds)

    @property
    def wait_left(self) -> float:
        """Seconds of wall time that others may still be waited for."""
        return min(self.seconds_left, max(0.0, self._wait_ends - self._clock.seconds))

    @contextmanager
    def waiting_for(self, part: float) -> Iterator[None]:
        """Let nobody within be waited for longer than a part of the time that is left."""
        before = self._wait_ends
        self._wait_ends = self._clock.seconds + self.seconds_left * part
        try:
            yield
        finally:
            self._wait_ends = before

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let time and memory within count; within another such block they do already."""
        if self._clock.runs:
            yield
            return
        self._start()
        try:
            yield
        finally:
            self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let time and memory within not count: they are the user's own."""
        if not self._clock.runs:
            yield
            return
        self._stop()
        try:
            yield
        finally:
            self._start()

    def consult(self) -> None:
        """Say that work goes on.

        Raises:
            LimitError: it must not: the time is up, or too much memory was taken.
        """
        now = time.monotonic()
        if self._clock.seconds_at(now) > self.seconds:
            raise LimitError(f"this took longer than {self.seconds:g} s, its limit", ROOM_HINT)
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        if self._clock.cpu_seconds > self.cpu_seconds:
            raise LimitError(
                f"this took more than {self.cpu_seconds:,} s of processor time, its limit",
                ROOM_HINT,
            )
        if self._grown_bytes() > self.memory_bytes:
            raise LimitError(
                f"this took more than {self.memory_bytes:,} bytes of memory, its limit", ROOM_HINT
            )

    def require_room(self, count: int, what: str) -> None:
        """Refuse memory that is more than what is left, before it is taken.

        Args:
            count: of bytes, at most.
            what: would take them; the subject of an error.

        Raises:
            LimitError: it would be too much.
        """
        if count + self._grown_bytes() > self.memory_bytes:
            raise LimitError(
                f"{what} would take {count:,} bytes of memory, and the limit for all is "
                f"{self.memory_bytes:,}",
                ROOM_HINT,
            )

    def _start(self) -> None:
        self._resident_before = resident_bytes() - self._grown
        self._clock.start()

    def _stop(self) -> None:
        self._clock.stop()
        self._grown = resident_bytes() - self._resident_before

    def _grown_bytes(self) -> int:
        return max(0, resident_bytes() - self._resident_before - OWN_BYTES)


class _Clock:
    """A stopwatch of wall and processor time."""

    def __init__(self) -> None:
        self.runs = False
        self._wall = self._cpu = 0.0  # of what has ended
        self._wall_began = self._cpu_began = 0.0

    def start(self) -> None:
        self.runs = True
        self._wall_began, self._cpu_began = time.monotonic(), time.process_time()

    def stop(self) -> None:
        self._wall, self._cpu = self.seconds, self.cpu_seconds
        self.runs = False

    @property
    def seconds(self) -> float:
        return self.seconds_at(time.monotonic())

    def seconds_at(self, now: float) -> float:
        return self._wall + (now - self._wall_began if self.runs else 0.0)

    @property
    def cpu_seconds(self) -> float:
        return self._cpu + (time.process_time() - self._cpu_began if self.runs else 0.0)


_held: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def held_to(budget: Budget | None) -> Iterator[None]:
    """Hold what is done within to a budget, and let its time run; ``None`` changes nothing.

    Another budget that was held before is not drawn on meanwhile: each stranger's file has its own.
    """
    if budget is None or budget is _held.get():
        yield
        return
    with paused(), budget.running():
        before = _held.set(budget)
        try:
            yield
        finally:
            _held.reset(before)


def held() -> Budget | None:
    """Return the budget that is held, if there is one."""
    return _held.get()


def consult() -> None:
    """Say that work goes on.  Raises as :meth:`Budget.consult`."""
    budget = _held.get()
    if budget is not None:
        budget.consult()


def consulted(items: Iterable[T], every: int = ITEMS_AT_ONCE) -> Iterator[T]:
    """Yield all items, and say after so many that work goes on.  Raises as :func:`consult`."""
    for number, item in enumerate(items):
        if number % every == 0:
            consult()
        yield item


def require_room(count: int, what: str) -> None:
    """Refuse memory that is more than what is left.  As :meth:`Budget.require_room`."""
    budget = _held.get()
    if budget is not None:
        budget.require_room(count, what)


def require_room_for_floats(count: int, what: str) -> None:
    """Refuse so many float64 where they are more than what is left, before they are taken.

    A few are not asked about: whoever takes them often would wait for the answers.

    Args:
        count: of numbers, at most.
        what: would take them; the subject of an error.

    Raises:
        LimitError: it would be too much.
    """
    if count > FEW_FLOATS:
        require_room(FLOAT_BYTES * count, what)


@contextmanager
def paused() -> Iterator[None]:
    """Let time and memory within not count, as while a passphrase is typed."""
    budget = _held.get()
    if budget is None:
        yield
        return
    with budget.paused():
        yield


def resident_bytes(process: int | None = None) -> int:
    """Return the memory that a process has in use, this one if ``None``; 0 if that is unknown."""
    if sys.platform != "linux":
        return 0
    try:
        with open(f"/proc/{process or 'self'}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
