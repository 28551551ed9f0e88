"""Querying a file or a function in batches: triggers unchanged, one by one, rescaled and shifted.

As many triggers as fit go into one call, since that is fast.  A suspect can notice that, and may
predict junk for batches; so some are also sent one by one, and all if that makes a difference.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.narrowest import narrowest
from wmx.errors import CannotRunError
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import (
    ALONE,
    NO_SHIFT,
    OTHER_ROWS,
    SHIFTS,
    TOGETHER,
    Probe,
    rows_of_variations,
    shifted,
)
from wmx.suspect.feeding import Feeding
from wmx.suspect.suspect import Suspect
from wmx.suspect.views.opened import UnseenViewError
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.failures import MOST_TRIES, has_died
from wmx.verification.query import MOST_IN_VIEWS, Query, narrow

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
        self._singly: set[str] = set()  # feedings of many rows that work row by row only
        self._error: CannotRunError | None = None  # the first

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
        triggers = self._trigger_slice.triggers
        for feeding in self._feedings:
            self._enter(feeding, TOGETHER, self._ask(feeding, TOGETHER, triggers))
        first = self._error
        if not self.mixture.probes:
            self.single_rows()
        if not self.mixture.probes:
            assert first is not None
            raise first

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
                    inputs = self._trigger_slice.triggers[:last]
                    self._enter_variation(feeding, rows, inputs, NO_SHIFT, scaling)

    def shifted(self) -> None:
        """Send the first triggers in every shift.

        The same triggers in each, whatever bits they give: else the choice of shifts would tell
        a suspect that remembers something about the labels, and it may be queried again.
        """
        affordable = self._affordable()
        self._suspect.leave_out(
            probe.output
            for feeding in self._feedings
            for rows in rows_of_variations(self._rows[feeding.name])
            for probe in self._probes(feeding, rows)
            if probe not in affordable
        )
        for shift in SHIFTS:
            for feeding in self._feedings:
                for rows in rows_of_variations(self._rows[feeding.name]):
                    outputs = {
                        probe.output for probe in self._probes(feeding, rows) if probe in affordable
                    }
                    if outputs:
                        inputs = self._trigger_slice.triggers[:MOST_SHIFTED]
                        self._enter_variation(feeding, rows, inputs, shift, "", outputs)

    def _enter_variation(
        self,
        feeding: Feeding,
        rows: int,
        inputs: NDArray[Any],
        shift: tuple[int, int],
        scaling: str,
        outputs: Collection[str] | None = None,
    ) -> None:
        """Send inputs in a variation and bet on the answers.

        Where single rows made no difference to plain inputs some are sent one by one, and all of
        them if that makes one here: a suspect may look at its batch in one scaling or shift alone.

        Args:
            feeding, rows: by which inputs are fed.
            inputs: canonical [n, ...].
            shift, scaling: the variation.
            outputs: readings that are bet on; all if ``None``.
        """

        def entered(rows: int, inputs: NDArray[Any]) -> None:
            given = self._ask(feeding, rows, inputs, scaling or None, shift=shift)
            kept = {name: given[name] for name in given if outputs is None or name in outputs}
            self._enter(feeding, rows, kept, shift, scaling)

        entered(rows, inputs)
        if rows != TOGETHER or feeding.name not in self._same_alone:
            return
        tested = self._tested(TESTED, len(inputs))
        alone = self._ask(feeding, ALONE, inputs, scaling or None, tested, shift)
        known = self._probes(feeding, TOGETHER, shift, scaling)
        if outputs is not None:
            alone = {name: alone[name] for name in alone if name in outputs}
        if not alone or self._are_known(known, alone, tested):
            for probe in known:
                self.mixture.add_same(replace(probe, rows=ALONE), probe)
        else:
            entered(ALONE, inputs[:MOST_IN_ROWS])

    def view(self, name: str) -> None:
        """Send the first triggers to a view, one at a time; as :meth:`Query.view`.

        Single rows: a view may be of a file that predicts junk for batches.
        """
        task, inputs = self._trigger_slice.task, self._trigger_slice.triggers[:MOST_IN_VIEWS]
        with closing(self._suspect.views()[name]()) as view:
            for feeding in view.feedings(task):
                try:
                    given = view.predictions(feeding, inputs, task, rows=ALONE)
                except UnseenViewError:
                    raise
                except CannotRunError:
                    continue
                for output, predictions in narrow(given, task.classes).items():
                    probe = Probe(feeding.name, output, rows=ALONE, view=name)
                    self.mixture.add({probe: predictions})

    def _try_rows(self, feeding: Feeding, rows: int) -> None:
        """Send some triggers ``rows`` at a time, and all of them if the predictions differ.

        The suspect's author cannot foresee which triggers these are.  To pass as a model that does
        not look at its batch, it has to predict nearly all triggers of a batch alike.
        """
        if known := self._rows[feeding.name]:
            tested = self._tested(max(TESTED, rows))
            given = self._ask(feeding, rows, self._trigger_slice.triggers, tested=tested)
            if not given:
                return
            if any(self._are_known(self._probes(feeding, one), given, tested) for one in known):
                if rows == ALONE:
                    self._same_alone.add(feeding.name)
                    for probe in self._probes(feeding, TOGETHER):
                        self.mixture.add_same(replace(probe, rows=ALONE), probe)
                return
        inputs = self._trigger_slice.triggers[:MOST_IN_ROWS]
        self._enter(feeding, rows, self._ask(feeding, rows, inputs))

    def _tested(self, count: int, most: int = MOST_IN_ROWS) -> NDArray[np.int64]:
        """Return the triggers that test whether rows make a difference, in ascending order.

        They are of the first ``most``, and follow from the claim and from the digests of the
        suspect's files, which no file can contain.  A function has no digest and may know the
        claim: for it they are random.
        """
        among = min(len(self._trigger_slice), MOST_IN_ROWS, most)
        return np.sort(self._stream().permutation(among)[:count])

    def _stream(self) -> "np.random.Generator":  # which takes long to import
        model, trigger_slice = self._suspect.reference, self._trigger_slice
        known = model.sha256 or self._unforeseeable
        digests = [trigger_slice.claim.digest, str(trigger_slice.start), known]
        digests += [digest for _, digest in sorted(model.external.items())]
        seed = hashlib.sha256(" ".join(digests).encode()).digest()
        return np.random.default_rng(int.from_bytes(seed))

    def _are_known(
        self,
        probes: Sequence[Probe],
        given: Mapping[str, Predictions],
        tested: NDArray[np.int64],
    ) -> bool:
        """Say whether each output predicts these triggers as it did by one of the probes."""
        known = {probe.output: self.mixture.predictions_of(probe)[tested] for probe in probes}
        classes = self._trigger_slice.task.classes
        return all(
            output in known and not predictions.differ_from(known[output], classes)
            for output, predictions in given.items()
        )

    def _probes(
        self, feeding: Feeding, rows: int, shift: tuple[int, int] = NO_SHIFT, scaling: str = ""
    ) -> list[Probe]:
        """Return the known probes of a feeding."""
        wanted = (feeding.name, rows, shift, scaling)
        return [
            probe
            for probe in self.mixture.probes
            if (probe.layout, probe.rows, probe.shift, probe.scaling) == wanted
        ]

    def _ask(
        self,
        feeding: Feeding,
        rows: int,
        inputs: NDArray[Any],
        scaling: str | None = None,
        tested: NDArray[np.int64] | None = None,
        shift: tuple[int, int] = NO_SHIFT,
    ) -> dict[str, Predictions]:
        """Return the predictions of every output; none if the model fails, which may count.

        Args:
            feeding, scaling: by which inputs are fed.
            rows: inputs in one call.
            inputs: canonical [n, ...].
            tested: which of them are sent; all if ``None``.
            shift: by which they are shifted before.
        """
        suspect, task = self._suspect, self._trigger_slice.task
        given = _moved(inputs if tested is None else inputs[tested], shift)
        try:
            return self._sent(feeding, rows, scaling, given, suspect)
        except CannotRunError as error:
            self.failures.add(error, self._further_calls(feeding, rows, scaling, inputs, shift))
            failure = error
        if self._is_one_call(feeding, rows, given) and not has_died(failure):
            try:  # a file whose batch is only declared free works row by row
                found = suspect.predictions(feeding, given, task, scaling)
            except CannotRunError as error:
                failure = error
            else:
                if TOGETHER not in self._rows[feeding.name]:
                    self._singly.add(feeding.name)
                return found
        self._error = self._error or failure
        return {}

    def _sent(
        self,
        feeding: Feeding,
        rows: int,
        scaling: str | None,
        inputs: NDArray[Any],
        suspect: Suspect,
    ) -> dict[str, Predictions]:
        """Return the predictions for calls of so many rows, all inputs in one if they fit.

        That number is then stated: else a file that fails would be given single rows at once.
        """
        number = len(inputs) if self._is_one_call(feeding, rows, inputs) else rows or None
        return suspect.predictions(feeding, inputs, self._trigger_slice.task, scaling, number)

    def _is_one_call(self, feeding: Feeding, rows: int, inputs: NDArray[Any]) -> bool:
        """Say whether all inputs go into one call, as far as the feeding has taken many rows."""
        fits = len(inputs) <= feeding.chunk_rows(self._trigger_slice.task)
        return rows == TOGETHER and fits and feeding.name not in self._singly

    def _further_calls(
        self,
        feeding: Feeding,
        rows: int,
        scaling: str | None,
        inputs: NDArray[Any],
        shift: tuple[int, int],
    ) -> Iterator[Callable[[Suspect], object]]:
        """Return calls with some inputs each, to see whether the model ever answers such a call.

        Of all rows together nearly all, since a model may not take fewer; and ever fewer once it
        has answered so: then only the inputs can be at fault, and any of them might be.  That is
        known now, and the calls are made later, when the feeding may have gone on row by row.
        """
        stream, n, task = self._stream(), len(inputs), self._trigger_slice.task
        together = self._is_one_call(feeding, rows, inputs)
        answered = TOGETHER in self._rows[feeding.name]

        def call(number: int, suspect: Suspect) -> object:
            fewer = n >> (1 + number // 2) if answered else n - n // 8
            portion = inputs[np.sort(stream.permutation(n)[: max(1, rows or fewer)])]
            in_one = len(portion) if together else rows or None
            moved = _moved(portion, shift)  # only now: these calls are kept until the end
            return suspect.predictions(feeding, moved, task, scaling, in_one)

        return (partial(call, number) for number in range(MOST_TRIES))

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
                self._suspect.leave_out([output])
                continue
            self.mixture.add({probe: predictions})
            if probe.is_plain and rows not in self._rows[feeding.name]:
                self._rows[feeding.name].append(rows)

    def _affordable(self) -> set[Probe]:
        """Return the plain probes whose shifts fit into memory together, narrowest first."""
        sizes = {
            probe: self.mixture.predictions_of(probe)[:MOST_SHIFTED].scores.size
            for feeding in self._feedings
            for rows in rows_of_variations(self._rows[feeding.name])
            for probe in self._probes(feeding, rows)
        }
        by_name = {probe: sizes[probe] for probe in sorted(sizes, key=lambda probe: probe.name)}
        return narrowest(by_name, MAX_SHIFTED_SCORES // len(SHIFTS))


def _moved(inputs: NDArray[Any], shift: tuple[int, int]) -> NDArray[Any]:
    return inputs if shift == NO_SHIFT else shifted(inputs, *shift)
