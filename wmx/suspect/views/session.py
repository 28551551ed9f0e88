"""A model that another process looks into, a view at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from numpy.typing import NDArray

from wmx._internal.budget import held_to
from wmx.suspect.policy.model_files import ModelFiles
from wmx.suspect.remote import ConfinedSession, ask, handed_over
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.sandbox.wire import Message
from wmx.suspect.types import Device
from wmx.suspect.values import Value
from wmx.suspect.views.opened import UnseenViewError

CHILD = "wmx.suspect.views.worker"
MAX_VIEWS = 64  # more than any file has
MAX_NAME = 256  # characters
PART_OF_LOOKING = 1 / 4  # of the time left, to find the views
PART = 1 / 16  # of the time left then, for each view


class ViewSession(ConfinedSession):
    """One view of a model, loaded in a child process; of which one, :meth:`session` says.

    Attributes:
        names: of all views.
    """

    def __init__(self, sandbox: Sandbox, files: ModelFiles, device: Device) -> None:
        """Confine the child, then send it the model.

        Args:
            sandbox: the child process, of the program :data:`CHILD`.
            files: of the model.
            device: where to run it.

        Raises:
            CannotRunError: the child died, or refuses the model.
        """
        self._sandbox = sandbox
        self.budget = sandbox.budget
        self.max_answer_bytes = sandbox.max_answer_bytes
        self._ends = 0.0  # seconds of the budget that are left to others
        with self.budget.waiting_for(PART_OF_LOOKING):
            found = handed_over(sandbox, files, device, "views")
        self.names = names_of(sandbox, found.get("names"))

    def session(self, name: str) -> Self:
        """Load a view, in place of the one that was loaded before; returns itself.

        Args:
            name: of the view.

        Raises:
            CannotRunError: its graph does not run.
            UnseenViewError: it cannot be made.
            SuspectDiedError: the child ended.
        """
        if name not in self.names:
            raise UnseenViewError(f"there is no view {name!r}")
        asked = Message("view", {"number": self.names.index(name)})
        with held_to(self.budget):
            self._ends = self.budget.seconds_left * (1 - PART)
            with self._in_time():
                answer = ask(self._sandbox, asked, "loaded", "unseen")
        if answer.kind == "unseen":
            raise UnseenViewError("its graph cannot be changed")
        self.describe(answer.fields)
        return self

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[Value]:
        """Return the value of every output; as :meth:`ConfinedSession.run`."""
        with self._in_time():
            return super().run(inputs)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Limit waiting to what is left of the view's part of the time."""
        left = self.budget.seconds_left
        with self.budget.waiting_for(max(0.0, left - self._ends) / left if left > 0 else 0.0):
            yield


def names_of(sandbox: Sandbox, value: object) -> tuple[str, ...]:
    """Return the names of views that a child states.

    Args:
        sandbox: the child process.
        value: its reply, untrusted.

    Raises:
        SuspectDiedError: they are malformed; the child was killed.
    """
    names = value if isinstance(value, list) else [None]
    if (
        len(names) > MAX_VIEWS
        or len(set(map(str, names))) < len(names)
        or not all(
            isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()
            for name in names
        )
    ):
        raise sandbox.disown("described views that cannot be")
    return tuple(names)
