"""Names of what the system-call filter blocks, and the warning where there is no filter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NETWORK, OTHER_PROCESSES = "network", "other processes"
CHANGING_FILES, READING_FILES = "changing files", "reading files"

_listener: ContextVar[Callable[[], None] | None] = ContextVar("listener", default=None)


@contextmanager
def missing_filter_told_to(listener: Callable[[], None]) -> Iterator[None]:
    """Call ``listener`` once if a model is about to be loaded into a process without a filter."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def tell_missing_filter() -> None:
    """Call the listener, if there is one that was not called yet."""
    listener = _listener.get()
    if listener is not None:
        _listener.set(None)
        listener()
