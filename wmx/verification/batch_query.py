"""Querying a file or a function in batches: triggers unchanged, one by one, rescaled and shifted.

As many triggers as fit go into one call, since that is fast.  A suspect can notice that, and may
predict junk for batches; so some are also sent one by one, and all if that makes a difference.
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

TESTED = 16  # triggers to test whether the number of rows makes a difference
MOST_IN_ROWS = 4096  # triggers to send in that number of rows if it does
MOST_SHIFTED = 256  # triggers to send in each shift
MAX_SHIFTED_SCORES = 2**26  # of all shifts together: half a gibibyte


class BatchQuery(Query):
    """A query that sends many triggers per call."""

    def __init__(self, suspect: Suspect, trigger_slice: TriggerSlice) -> None:
        super().__init__(suspect, trigger_slice)
        self._rows: dict[str, list[int]] = {one.name: [] for one in self._feedings}
        self._unforeseeable = secrets.token_hex(32)
        self._same_alone: set[str] = set()  # feedings whose predictions do not depend on other rows

    def other_rows(self) -> Iterator[Callable[[], None]]:
        """Yield the rounds with single rows and with batches of other sizes."""
        yield self.single_rows
        yield self.other_batches

    def plain(self) -> None:
        """Send the triggers unchanged, as many per call as fit.

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
        """Send some triggers one by one, and all of them if that makes a difference."""
        for feeding in self._feedings:
            if ALONE not in self._rows[feeding.name] and feeding.name not in self._same_alone:
                self._try_rows(feeding, ALONE)

    def other_batches(self) -> None:
        """Send some triggers in batches of other sizes, and more if that makes a difference."""
        for rows in OTHER_ROWS:
            for feeding in self._feedings:
                if feeding.batch is None and rows < len(self._trigger_slice):
                    self._try_rows(feeding, rows)

    def other_scalings(self) -> None:
        """Send all triggers in every other usual scaling of pixels and features."""
        for feeding in self._feedings:
            for rows in rows_of_variations(self._rows[feeding.name]):
                for scaling in feeding.scalings[1:]:
                    last = len(self._trigger_slice) if rows == TOGETHER else MOST_IN_ROWS
                    given = self._ask(feeding, rows, self._trigger_slice.triggers[:last], scaling)
                    self._enter(feeding, rows, given, scaling=scaling)

    def shifted(self) -> None:
        """Send the first triggers in every shift.

        The same triggers in each, whatever bits they give: else the choice of shifts would tell
        a suspect that remembers something about the labels, and it may be queried again.
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
        """Send some triggers ``rows`` at a time, and all of them if the predictions differ.

        The suspect's author cannot foresee which triggers these are.  To pass as a model that does
        not look at its batch, it has to predict nearly all triggers of a batch alike.
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
        """Return the triggers that test whether rows make a difference, in ascending order.

        They follow from the claim and from the digests of the suspect's files, which no file can
        contain.  A function has no digest and may know the claim: for it they are random.
        """
        model, trigger_slice = self._suspect.reference, self._trigger_slice
        known = model.sha256 or self._unforeseeable
        digests = [trigger_slice.claim.digest, str(trigger_slice.start), known]
        digests += [digest for _, digest in sorted(model.external.items())]
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
        """Say whether each output predicts these triggers as it did with ``rows`` in a call."""
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
        """Return the known probes of a feeding, in the scaling that fits it."""
        wanted = (feeding.name, rows, shift, "")
        return [
            probe
            for probe in self.mixture.probes
            if (probe.layout, probe.rows, probe.shift, probe.scaling) == wanted
        ]

    def _ask(
        self, feeding: Feeding, rows: int, inputs: NDArray[Any], scaling: str | None = None
    ) -> dict[str, Predictions]:
        """Return the predictions of every output; none if the model fails."""
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
        """Bet on the predictions of all outputs; of variations, on those that have a share."""
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
        """Return the plain probes whose shifts fit into memory together, narrowest first."""
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
