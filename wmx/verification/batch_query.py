"""BatchQuery a file or a function: the triggers as they are, singly, in other units, and moved.

Triggers are given as many at a time as fit, since that is fast.  A suspect can tell, and may answer
junk to several of them; so some are given singly too, and all where that makes a difference.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError
from wmx.statistics.mixture import (
    ALONE,
    NO_SHIFT,
    OTHER_ROWS,
    SHIFTS,
    TOGETHER,
    Probe,
    rows_of_variations,
    shifted,
)
from wmx.statistics.predictions import Predictions
from wmx.suspect.inputs import Feeding
from wmx.suspect.suspect import Suspect
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.query import Query

TESTED = 16  # triggers by which is seen whether rows make a difference
MOST_IN_ROWS = 4096  # triggers that are given so many at a time, where they do
MOST_SHIFTED = 256  # triggers that are given in each shift
MAX_SHIFTED_SCORES = 2**26  # of all shifts together: half a gibibyte


class BatchQuery(Query):
    """Rounds in which many triggers are given at a time."""

    def __init__(self, suspect: Suspect, trigger_slice: TriggerSlice) -> None:
        super().__init__(suspect, trigger_slice)
        self._rows: dict[str, list[int]] = {one.name: [] for one in self._feedings}
        self._unforeseeable = secrets.token_hex(32)
        self._same_alone: set[str] = set()  # feedings whose answers do not hang on other rows

    def other_rows(self) -> Iterator[Callable[[], None]]:
        """Yield single rows and other batches."""
        yield self.single_rows
        yield self.other_batches

    def plain(self) -> None:
        """Give the triggers as they are, as many at a time as fit.

        A model whose axes are all declared free seems to take more layouts than it does; those
        that fail when run are left out.

        Raises:
            CannotRunError: no feeding works, not even with a single row.
        """
        failures = []
        for feeding in self._feedings:
            try:
                given = self._suspect.predictions(
                    feeding, self._trigger_slice.triggers, self._trigger_slice.task
                )
            except CannotRunError as error:
                failures.append(error)
            else:
                self._enter(feeding, TOGETHER, given)
        if not self.mixture.probes:
            self.single_rows()
        if not self.mixture.probes:
            raise failures[0]

    def single_rows(self) -> None:
        """Give some triggers singly, and all of them where that makes a difference."""
        for feeding in self._feedings:
            if ALONE not in self._rows[feeding.name] and feeding.name not in self._same_alone:
                self._try_rows(feeding, ALONE)

    def other_batches(self) -> None:
        """Give some triggers so many at a time, and more where that makes a difference."""
        for rows in OTHER_ROWS:
            for feeding in self._feedings:
                if feeding.batch is None and rows < len(self._trigger_slice):
                    self._try_rows(feeding, rows)

    def other_scalings(self) -> None:
        """Give all triggers in every other usual scaling of pixels and features."""
        for feeding in self._feedings:
            for rows in rows_of_variations(self._rows[feeding.name]):
                for scaling in feeding.scalings[1:]:
                    last = len(self._trigger_slice) if rows == TOGETHER else MOST_IN_ROWS
                    given = self._ask(feeding, rows, self._trigger_slice.triggers[:last], scaling)
                    self._enter(feeding, rows, given, scaling=scaling)

    def shifted(self) -> None:
        """Give the first triggers in every shift.

        All of them in each, whatever they earn: which shifts go on would tell a suspect that
        remembers something about the labels, and it may be asked again.
        """
        affordable = self._affordable()
        for shift in SHIFTS:
            for feeding in self._feedings:
                for rows in rows_of_variations(self._rows[feeding.name]):
                    outputs = {
                        probe.output for probe in self._probes(feeding, rows) if probe in affordable
                    }
                    if not outputs:
                        continue
                    inputs = shifted(self._trigger_slice.triggers[:MOST_SHIFTED], *shift)
                    given = self._ask(feeding, rows, inputs)
                    given = {output: given[output] for output in given if output in outputs}
                    self._enter(feeding, rows, given, shift)

    def _try_rows(self, feeding: Feeding, rows: int) -> None:
        """Give some triggers so many at a time, and all where the answers are others than before.

        Nobody who made the suspect could foresee which triggers these are.  To be taken for one
        that does not look at its batch, it has to answer nearly all triggers of a batch alike.
        """
        if known := self._rows[feeding.name]:
            tested = self._tested(max(TESTED, rows))
            given = self._ask(feeding, rows, self._trigger_slice.triggers[tested])
            if not given:
                return
            if any(self._are_known(feeding, one, given, tested) for one in known):
                if rows == ALONE:
                    self._same_alone.add(feeding.name)
                    for probe in self._probes(feeding, TOGETHER):
                        self.mixture.add_same(replace(probe, rows=ALONE), probe)
                return
        inputs = self._trigger_slice.triggers[:MOST_IN_ROWS]
        self._enter(feeding, rows, self._ask(feeding, rows, inputs))

    def _tested(self, count: int) -> NDArray[np.int64]:
        """Return which triggers show whether rows matter, in ascending order.

        They follow from the claim and from the suspect's files, whose digests no file can hold.  A
        function has none, and could know what follows from the claim: it is tested by chance.
        """
        suspect, trigger_slice = self._suspect, self._trigger_slice
        known = suspect.sha256 or self._unforeseeable
        digests = [trigger_slice.claim.digest, str(trigger_slice.start), known]
        digests += [digest for _, digest in sorted(suspect.external.items())]
        seed = hashlib.sha256(" ".join(digests).encode()).digest()
        stream = np.random.default_rng(int.from_bytes(seed))
        among = min(len(trigger_slice), MOST_IN_ROWS)
        return np.sort(stream.permutation(among)[:count])

    def _are_known(
        self,
        feeding: Feeding,
        rows: int,
        given: Mapping[str, Predictions],
        tested: NDArray[np.int64],
    ) -> bool:
        """Say whether each output answers these triggers as it did with ``rows`` in a call."""
        known = {
            probe.output: self.mixture.predictions_of(probe)[tested]
            for probe in self._probes(feeding, rows)
        }
        classes = self._trigger_slice.task.classes
        return all(
            output in known and not predictions.differ_from(known[output], classes)
            for output, predictions in given.items()
        )

    def _probes(
        self, feeding: Feeding, rows: int, shift: tuple[int, int] = NO_SHIFT
    ) -> list[Probe]:
        """Return the ways in which a feeding was read, in the scaling that fits it."""
        wanted = (feeding.name, rows, shift, "")
        return [
            probe
            for probe in self.mixture.probes
            if (probe.layout, probe.rows, probe.shift, probe.scaling) == wanted
        ]

    def _ask(
        self, feeding: Feeding, rows: int, inputs: NDArray[Any], scaling: str | None = None
    ) -> dict[str, Predictions]:
        """Return the answers of every output; none where the model fails."""
        suspect, task = self._suspect, self._trigger_slice.task
        try:
            return suspect.predictions(feeding, inputs, task, scaling, rows or None)
        except CannotRunError:
            return {}

    def _enter(
        self,
        feeding: Feeding,
        rows: int,
        given: Mapping[str, Predictions],
        shift: tuple[int, int] = NO_SHIFT,
        scaling: str = "",
    ) -> None:
        """Bet on the answers of all outputs; in variations on those that have a share."""
        for output, predictions in given.items():
            probe = Probe(feeding.name, output, shift, scaling, rows)
            if not probe.is_plain and probe.plain not in self.mixture:
                continue
            self.mixture.add({probe: predictions})
            if probe.is_plain and rows not in self._rows[feeding.name]:
                self._rows[feeding.name].append(rows)
            if not probe.is_plain and rows == TOGETHER and feeding.name in self._same_alone:
                self.mixture.add_same(replace(probe, rows=ALONE), probe)

    def _affordable(self) -> set[Probe]:
        """Return the plain ways whose shifts fit the memory together, the narrowest first."""
        left = MAX_SHIFTED_SCORES
        sizes = {
            probe: self.mixture.predictions_of(probe)[:MOST_SHIFTED].scores.size
            for feeding in self._feedings
            for rows in rows_of_variations(self._rows[feeding.name])
            for probe in self._probes(feeding, rows)
        }
        chosen = set()
        for probe in sorted(sizes, key=lambda probe: (sizes[probe], probe.name)):
            left -= len(SHIFTS) * sizes[probe]
            if left >= 0:
                chosen.add(probe)
        return chosen
