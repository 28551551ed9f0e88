"""The views of a file that is verified: found when they are asked for, and opened one at a time."""

from __future__ import annotations  # the child imports this, which therefore imports little

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from wmx.errors import CannotRunError, SuspectDiedError

if TYPE_CHECKING:
    from wmx.suspect.remote import Session


class UnseenViewError(CannotRunError):
    """A view was not looked at: its process died, time was short, or the graph is too strange.

    Other errors of a view say that its graph does not run, as it does not for most files.
    """


class Views(Protocol):
    """What shows the views of a model, in this process or in another one."""

    names: tuple[str, ...]

    def session(self, name: str) -> Session:
        """Load the model of a view; the one that was loaded before is closed.

        Raises:
            CannotRunError: its graph does not run.
        """

    @property
    def is_alive(self) -> bool:
        """Whether it can show more."""

    def close(self) -> None:
        """Release processes and memory."""


class OpenViews:
    """The views of a model; a process that died of one is replaced for the others.

    Args:
        look: reads the model and finds its views.
    """

    def __init__(self, look: Callable[[], Views]) -> None:
        self._look = look
        self._views: Views | None = None
        self._names: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all views.

        Raises:
            UnseenViewError: the model cannot be looked into.
        """
        if self._names is None:
            with seeing():
                self._names = self._shown().names
        return self._names

    def session(self, name: str) -> Session:
        """Load the model of a view, in place of the one that was loaded before.

        Raises:
            CannotRunError: its graph does not run.
            UnseenViewError: it cannot be made, or it ended the process.
        """
        with seeing():
            views = self._shown()
            if self._names is not None and views.names != self._names:
                self.close()
                raise UnseenViewError("another look finds other views")
            return views.session(name)

    def close(self) -> None:
        """Release processes and memory."""
        if self._views is not None:
            self._views.close()
            self._views = None

    def _shown(self) -> Views:
        if self._views is not None and not self._views.is_alive:
            self.close()
        if self._views is None:
            self._views = self._look()
        return self._views


@contextmanager
def seeing() -> Iterator[None]:
    """Turn the end of the process that shows views into :class:`UnseenViewError`."""
    try:
        yield
    except SuspectDiedError as error:
        raise UnseenViewError(str(error), error.hint) from error
