"""Testing claims on models: on the suspect, and on what parties have signed as their own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import permutations
from math import log2
from pathlib import Path

from wmx._internal.budget import held_to
from wmx.disputes.decision import Case, Mark, Pair
from wmx.disputes.held import Exhibit, Held, mark_of, why_unclear
from wmx.disputes.lineage import Lineage, Reader, trace
from wmx.disputes.originals import opened
from wmx.disputes.party import Party, Shown
from wmx.errors import (
    CannotRunError,
    IntegrityError,
    LimitError,
    SuspectDiedError,
    UsageError,
)
from wmx.protocol.dating import UNDATED, Dating
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.overrides import NO_OVERRIDES, Overrides
from wmx.suspect.sandbox.limits import Limits
from wmx.suspect.suspect import Suspect
from wmx.suspect.types import Device
from wmx.verification.verdict import measure

# how many depends on what it says to the triggers
NOT_ALL_READ = (
    "not all of its outputs could be read, or it could not be looked into in full (evidence made "
    "with --output NAME reads one output)"
)
NO_LINEAGE = "a model failed, or no longer answers as it did, of which nothing more is said"
FAILED_WHEN_RUN = "it failed when it was run on triggers, of which nothing more is said"


@dataclass(frozen=True)
class Bench:
    """A suspect in dispute, and how other models are run.

    Attributes:
        suspect: opened.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        tried: claims times models, whose log2 is subtracted from all bits.
        device: where originals run.
        limits: of time and memory for each of them; the defaults if ``None``.
        weights: files with weights of models, where the name is not derived from the model's.
        apart_from: files and folders that never hold weights.
        suspect_dating: when the suspect existed, as far as that was shown.
    """

    suspect: Suspect
    min_bits: float | None
    tried: int
    device: Device
    limits: Limits | None
    weights: Sequence[Path] = ()
    apart_from: Sequence[Path] = ()
    suspect_dating: Dating = UNDATED

    def on_suspect(self, party: Party, most_bits: float) -> Held:
        """Test a party's claim on the suspect, at the cost of that party alone.

        Each party has a process and a budget of its own: an evidence can ask for triggers that take
        hours, and would else take the dispute from all others.  How the suspect fails may depend
        on the triggers that it is given: of secret ones only that it did is told.

        Args:
            party: whose claim is tested.
            most_bits: that it can have, by what it states.
        """
        loaded = False
        required = party.required_bits(self.min_bits, self.suspect_dating)
        try:
            with self._suspect_anew(party.selection.overrides) as suspect:
                loaded = True
                held = self.held(suspect, party, required)
        except (SuspectDiedError, LimitError, UsageError) as error:  # the last: of its overrides
            hidden = loaded and party.is_secret
            failure = FAILED_WHEN_RUN if hidden else str(error)
            return Held(0.0, required, failure=failure, interrupted=True)
        if held.interrupted and party.is_secret:
            return replace(held, failure=FAILED_WHEN_RUN)
        if held.left_out is not None and not held.verified:
            hidden = party.is_secret and held.left_out != NOT_ALL_READ
            failure = FAILED_WHEN_RUN if hidden else held.left_out
            return Held(0.0, required, failure=failure, interrupted=True)
        alone = min(held.alone, party.stated_bits)
        return replace(held, bits=min(held.bits, most_bits), alone=alone)

    def held(self, model: Suspect, party: Party, required: float) -> Held:
        """Test a party's claim on a model, as ``wmx verify`` does.

        Args:
            model: the suspect, or an original.
            party: whose claim is tested.
            required: bits to verify.

        Raises:
            SuspectDiedError: the process that runs the model crashed, or ran into a limit.
            LimitError: the work took more time or memory than its limit.
        """
        selection = party.selection
        selection = replace(selection, claims_tried=self.tried * selection.claims_tried)
        try:
            model.feedings(party.trigger_slice.task)
        except CannotRunError as error:
            return Held(0.0, required, failure=str(error), unfit=True)
        try:
            verdict = measure(model, party.trigger_slice, required=required, selection=selection)
        except CannotRunError as error:
            return Held(0.0, required, failure=str(error), interrupted=True)
        return Held(
            verdict.bits,
            required,
            verdict.hits,
            verdict.n,
            verdict.score.best.probe,
            alone=verdict.bits + log2(self.tried),
            too_few=verdict.too_few,
            attainable=verdict.attainable,
            left_out=verdict.failed
            or (NOT_ALL_READ if verdict.unread_outputs or verdict.unseen_views else None),
        )

    def exhibit(
        self,
        party: Party,
        shown: Shown,
        standing: Sequence[Party],
        on_suspect: Mapping[str, Held],
    ) -> Exhibit:
        """Test every standing claim on a model that a party has signed as its own.

        Args:
            party: whose model it is.
            shown: the release record, with the model if it was shown.
            standing: parties whose claims verify on the suspect.
            on_suspect: their claims tested on the suspect, by name.

        Raises:
            IntegrityError: the model is not the one that the record names.
        """
        path, held = shown.model, {}
        if shown.release.model.has_same_files(self.suspect.reference):
            path = Path(self.suspect.reference.name)
            held = {one.name: on_suspect[one.name] for one in standing}
        elif path is not None:
            held = {one.name: self._held_on_original(path, shown, one) for one in standing}
        marks = (
            {one.name: mark_of(held[one.name], one, shown) for one in standing} if held else None
        )
        unclear = {
            one.name: why_unclear(held[one.name], one, shown)
            for one in standing
            if marks is not None and marks[one.name] is Mark.unclear
        }
        return Exhibit(party.name, shown, path, held, marks, unclear)

    def lineages(
        self,
        standing: Sequence[Party],
        cases: Sequence[Case],
        exhibits: Sequence[Exhibit],
        on_suspect: Mapping[str, Held],
    ) -> dict[Pair, Lineage]:
        """Test to which of two originals the suspect is nearer, where both sides have dated ones.

        Args:
            standing: parties whose claims verify on the suspect.
            cases: what they have shown.
            exhibits: the models that they have signed as their own.
            on_suspect: their claims tested on the suspect, by name.

        Returns:
            the results, by the identities of the two originals.
        """
        known = {exhibit.identity: exhibit for exhibit in exhibits}
        parties = {party.name: party for party in standing}
        found: dict[Pair, Lineage] = {}
        for one, other in permutations(cases, 2):
            for best in one.dated_against(other)[:1]:
                for original in other.dated_against(one):
                    pair = frozenset((best.identity, original.identity))
                    if pair not in found:
                        first = parties[one.name], known[best.identity]
                        second = parties[other.name], known[original.identity]
                        found[pair] = self._lineage(first, second, on_suspect)
        return found

    def _held_on_original(self, path: Path, shown: Shown, party: Party) -> Held:
        """Test a claim on a stranger's file; if it cannot be run, the result says so.

        In a process and on a budget of its own: a file that still knows what it was given of one
        party could tell its maker by what it answers, or how it fails, about another.  How it fails
        on secret triggers may depend on them too.
        """
        loaded = False
        required = party.required_bits(self.min_bits, shown.dating)
        try:
            with self._opened(path) as model:
                if not shown.release.model.has_same_files(model.reference):
                    raise IntegrityError(
                        f"{path} is not the model that the release record names: its files have "
                        "other digests",
                        hint="give the model unchanged, with all the files beside it",
                    )
                loaded = True
                held = self.held(model, party, required)
        except (CannotRunError, SuspectDiedError, LimitError) as error:
            hidden = loaded and party.is_secret
            return Held(0.0, required, failure=FAILED_WHEN_RUN if hidden else str(error))
        if party.is_secret and held.interrupted:
            return replace(held, failure=FAILED_WHEN_RUN)
        return held

    def _lineage(
        self,
        one: tuple[Party, Exhibit],
        other: tuple[Party, Exhibit],
        on_suspect: Mapping[str, Held],
    ) -> Lineage:
        try:
            with (
                self._suspect_anew() as asked,
                self._reader(*one) as first,
                self._reader(*other) as second,
            ):
                suspect = [
                    Reader(asked, probe, party.trigger_slice.task)
                    for party, _ in (one, other)
                    if (probe := on_suspect[party.name].probe) is not None
                ]
                known = [party.trigger_slice.triggers for party, _ in (one, other)]
                return trace(suspect, first, second, known, (one[1].identity, other[1].identity))
        except LimitError as error:
            return Lineage(failure=str(error))
        except (CannotRunError, SuspectDiedError) as error:
            # by which probe a mark is read best may depend on its triggers
            hidden = one[0].is_secret or other[0].is_secret
            return Lineage(failure=NO_LINEAGE if hidden else str(error))

    @contextmanager
    def _suspect_anew(self, overrides: Overrides = NO_OVERRIDES) -> Iterator[Suspect]:
        """Load the suspect into a fresh process with a budget of its own; not so a function.

        Args:
            overrides: of its inputs and outputs; the suspect's own if there are none.
        """
        if not isinstance(self.suspect, OnnxFile):
            yield self.suspect
            return
        limits = self.limits or Limits()
        with held_to(limits.budget()), closing(self.suspect.loaded_anew(overrides)) as suspect:
            yield suspect

    @contextmanager
    def _reader(self, party: Party, exhibit: Exhibit) -> Iterator[Reader]:
        probe = exhibit.held[party.name].probe
        assert exhibit.path is not None
        assert probe is not None
        with self._opened(exhibit.path) as model:
            if not exhibit.shown.release.model.has_same_files(model.reference):
                raise IntegrityError(f"{exhibit.path} was changed while it was being read")
            yield Reader(model, probe, party.trigger_slice.task)

    def _opened(self, path: Path) -> AbstractContextManager[OnnxFile]:
        return opened(path, self.device, self.limits, self.weights, self.apart_from)
