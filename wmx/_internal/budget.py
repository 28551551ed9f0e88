"""Limits in seconds and bytes on work with untrusted files, wherever in this process it happens.

A model, claim or evidence file may be made so that reading or querying it takes hours or all of a
machine's memory, in the process that holds the key as well as in the model's own.  So such work is
held to a budget: loops whose length depends on an untrusted file consult it, and memory whose size
depends on one is reserved before it is taken.  Without a budget, as with the user's own files,
nothing is limited.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from wmx.errors import LimitError

OWN_BYTES = 2**28  # Python, its libraries, the user's triggers: no untrusted file enlarges them
ITEMS_AT_ONCE = 256  # between looks of :func:`consulted`
LOOK_SECONDS = 0.02  # between looks at processor time and memory, which cost more than the clock
T = TypeVar("T")
FLOAT_BYTES = 8
FEW_FLOATS = 2**20  # less than is worth a look at memory
ROOM_HINT = (
    "--seconds and --memory give it more, in Python wmx.suspect.Limits; see docs/security.md"
)


class Budget:
    """Time in seconds and memory in bytes that may be spent.

    Both count only while the budget is held (:func:`held_to`), so that a suspect may stay open for
    days in a program that does other things.  Memory is the growth of this process meanwhile, minus
    :data:`OWN_BYTES`.

    Attributes:
        seconds: of wall time, including waiting for other processes.
        cpu_seconds: of processor time, all threads of this process together.
        memory_bytes: by which this process may grow; checked on Linux only.
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
        """Seconds of wall time that are left, at least 0."""
        return max(0.0, self.seconds - self._clock.seconds)

    @property
    def wait_left(self) -> float:
        """Seconds of wall time for which this process may still wait for others."""
        return min(self.seconds_left, max(0.0, self._wait_ends - self._clock.seconds))

    @contextmanager
    def waiting_for(self, part: float) -> Iterator[None]:
        """Limit waiting within the block to a fraction (0 to 1) of the time that is left."""
        before = self._wait_ends
        self._wait_ends = self._clock.seconds + self.seconds_left * part
        try:
            yield
        finally:
            self._wait_ends = before

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count time and memory within the block; nested blocks count once."""
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
        """Do not count time and memory within the block, such as those of the user's own code."""
        if not self._clock.runs:
            yield
            return
        self._stop()
        try:
            yield
        finally:
            self._start()

    def consult(self) -> None:
        """Check the limits; long loops call this often.

        Raises:
            LimitError: the time is up, or too much memory was taken.
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
        """Check that memory is left, before it is taken.

        Args:
            count: number of bytes, at most.
            what: takes them; the subject of the error message.

        Raises:
            LimitError: it is more than what is left.
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
    """A stopwatch of wall and processor time in seconds."""

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
    """Hold the work within the block to a budget and count its time; ``None`` changes nothing.

    A budget that was held before does not count meanwhile: each untrusted file has its own.
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
    """Return the budget that is held now, ``None`` if there is none."""
    return _held.get()


def consult() -> None:
    """Check the limits of the budget that is held.  Raises as :meth:`Budget.consult`."""
    budget = _held.get()
    if budget is not None:
        budget.consult()


def consulted(items: Iterable[T], every: int = ITEMS_AT_ONCE) -> Iterator[T]:
    """Yield all items and check the limits before each ``every`` of them.

    Args:
        items: to yield.
        every: number of items between two checks.

    Raises:
        LimitError: as :meth:`Budget.consult`.
    """
    for number, item in enumerate(items):
        if number % every == 0:
            consult()
        yield item


def require_room(count: int, what: str) -> None:
    """Check that memory is left in the budget that is held.  As :meth:`Budget.require_room`."""
    budget = _held.get()
    if budget is not None:
        budget.require_room(count, what)


def require_room_for_floats(count: int, what: str) -> None:
    """Check that memory is left for float64 numbers, before it is taken.

    A few are not checked, since the check costs more than they do.

    Args:
        count: how many numbers, at most.
        what: takes them; the subject of the error message.

    Raises:
        LimitError: it is more than what is left.
    """
    if count > FEW_FLOATS:
        require_room(FLOAT_BYTES * count, what)


@contextmanager
def paused() -> Iterator[None]:
    """Do not count time and memory within the block, as while a passphrase is typed."""
    budget = _held.get()
    if budget is None:
        yield
        return
    with budget.paused():
        yield


def resident_bytes(process: int | None = None) -> int:
    """Return the resident memory of a process in bytes, 0 if it is unknown.

    Args:
        process: its id; this process if ``None``.
    """
    if sys.platform != "linux":
        return 0
    try:
        with open(f"/proc/{process or 'self'}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
