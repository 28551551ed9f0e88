"""Reads what a suspect outputs, and keeps which of its outputs were not read in full."""

from collections.abc import Iterable

from wmx.statistics.predictions import Predictions
from wmx.suspect.outputs import found_in
from wmx.suspect.tables import Joined


class OutputReader:
    """Reads the outputs of a suspect over all of its queries.

    Attributes:
        unread: names of the outputs of which something was left out that may be answers, in any
            call: see :class:`~wmx.suspect.tables.Joined` and
            :class:`~wmx.suspect.outputs.Found`; and of those with partial answers, which
            change from call to call.
    """

    def __init__(self) -> None:
        self.unread: set[str] = set()
        self._made_from: dict[str, set[str]] = {}
        self._partial: dict[tuple[str, str], set[tuple[int, bytes]]] = {}

    def predictions(self, joined: Joined, n: int, classes: int) -> dict[str, Predictions]:
        """Return the predictions by the name of the reading.

        Args:
            joined: the outputs for the n inputs.
            n: number of inputs.
            classes: K of the task.
        """
        found, output_of = found_in(joined.tables(), n, classes), joined.outputs()
        self.unread |= joined.unread | {output_of[table] for table in found.unread}
        for part, seen in joined.partial.items():
            known = self._partial.setdefault(part, set())
            known |= seen
            if _may_answer(known):
                self.unread.add(part[0])
        for reading, made_from in found.made_from.items():
            self._made_from[reading] = {output_of[table] for table in made_from}
        return found.predictions

    def leave_out(self, readings: Iterable[str]) -> None:
        """Count the outputs of readings that nobody looks at among the unread ones.

        Args:
            readings: names that :meth:`predictions` gave.
        """
        for reading in readings:
            self.unread |= self._made_from[reading]


def _may_answer(seen: set[tuple[int, bytes]]) -> bool:
    """Say whether numbers are no constants: of several sizes, or of several values."""
    digests = {digest for _, digest in seen if digest}
    return len({size for size, _ in seen}) > 1 or len(digests) > 1
