"""Testing claims on models: on the suspect, and on what parties have signed as their own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import permutations
from math import log2
from pathlib import Path

from wmx._internal.budget import held_to
from wmx.disputes.decision import Case, Mark, Original, Pair
from wmx.disputes.explanations import dated
from wmx.disputes.lineage import Lineage, Reader, trace
from wmx.disputes.originals import opened
from wmx.disputes.party import Party, Shown
from wmx.errors import CannotRunError, IntegrityError, LimitError, SuspectDiedError
from wmx.statistics.experts import required_bits
from wmx.statistics.mixture import Probe
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.sandbox.limits import Limits
from wmx.suspect.suspect import Suspect
from wmx.suspect.types import Device
from wmx.verification.verdict import measure

# that some claim verifies with: whoever has them is not out because more were asked for
LEAST_BITS = required_bits(trusted_timestamp=True)
# with fewer a model counts as without the mark: half of what a dated claim needs, for all claims,
# so that nobody can make a mark count as lacking by leaving out the date of its claim
LACKING_BITS = LEAST_BITS / 2
FAILED_WHEN_RUN = "it failed when it was run on triggers, of which nothing more is said"


@dataclass(frozen=True)
class Held:
    """The result of testing a claim on a model.

    Attributes:
        bits: of evidence.
        required_bits: to verify.
        hits: triggers whose label is the top class.
        n: number of triggers.
        probe: the probe with the most evidence.
        failure: why there is no result; the bits are then 0.
        interrupted: whether that is for a reason that says nothing about the mark: the model failed
            or died on the triggers, a limit was met, or no trigger can be used.
        unfit: whether the claim cannot be the model's: what the model declares takes no such
            inputs; or whether its own evidence states fewer bits than any claim needs.
        alone: bits without the penalty for the claims and models of the dispute.
        too_few: why an exact copy would not verify either, in words; ``None`` if it would.
        attainable: bits of an exact copy.
    """

    bits: float
    required_bits: float
    hits: int = 0
    n: int = 0
    probe: Probe | None = None
    failure: str | None = None
    interrupted: bool = False
    unfit: bool = False
    alone: float = 0.0
    too_few: str | None = None
    attainable: float = 0.0

    @property
    def verified(self) -> bool:
        """Whether the bits reach what is required."""
        return self.bits >= self.required_bits

    @property
    def mark(self) -> Mark:
        """Whether the model carries the mark; unclear where it cannot be run.

        Thieves who have the model could try many claims for one that fits it by chance, so that it
        seems unclear: that takes 2**32 tries, and names nobody.
        """
        if self.verified:
            return Mark.carried
        if self.failure is None and self.bits < LACKING_BITS:
            return Mark.lacking
        return Mark.unclear


@dataclass(frozen=True)
class Exhibit:
    """A model that a party has signed as its own.

    Attributes:
        party: its name.
        shown: the release record.
        path: of the model; ``None`` if it was not shown.
        held: every standing claim tested on it, by the party's name; empty if it was not shown.
        marks: whether it carries each mark, by the same names; ``None`` if it was not shown.
        unclear: why a mark is unclear, by the same names.
    """

    party: str
    shown: Shown
    path: Path | None
    held: Mapping[str, Held]
    marks: Mapping[str, Mark] | None
    unclear: Mapping[str, str]

    @property
    def identity(self) -> str:
        """One digest of all files of the model."""
        return self.shown.release.model.identity

    @property
    def original(self) -> Original:
        """What the decision needs to know of it."""
        return Original(
            self.shown.release.model.name,
            self.identity,
            self.shown.dating,
            self.marks,
            self.unclear,
            made=self.shown.made,
        )


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
    """

    suspect: Suspect
    min_bits: float | None
    tried: int
    device: Device
    limits: Limits | None
    weights: Sequence[Path] = ()
    apart_from: Sequence[Path] = ()

    def on_suspect(self, party: Party, most_bits: float) -> Held:
        """Test a party's claim on the suspect, at the cost of that party alone.

        Each party has a process and a budget of its own: an evidence can ask for triggers that take
        hours, and would else take the dispute from all others.

        Args:
            party: whose claim is tested.
            most_bits: that it can have, by what it states.
        """
        try:
            with self._suspect_anew() as suspect:
                held = self.held(suspect, party)
        except (SuspectDiedError, LimitError) as error:
            return Held(
                0.0, party.required_bits(self.min_bits), failure=str(error), interrupted=True
            )
        alone = min(held.alone, party.stated_bits)
        return replace(held, bits=min(held.bits, most_bits), alone=alone)

    def held(self, model: Suspect, party: Party) -> Held:
        """Test a party's claim on a model, as ``wmx verify`` does.

        Args:
            model: the suspect, or an original.
            party: whose claim is tested.

        Raises:
            SuspectDiedError: the process that runs the model crashed, or ran into a limit.
            LimitError: the work took more time or memory than its limit.
        """
        required = party.required_bits(self.min_bits)
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
            held = self._held_by_all(path, shown, standing)
        marks = {one.name: _mark(held[one.name], one, shown) for one in standing} if held else None
        unclear = {
            one.name: _why_unclear(held[one.name], one, shown)
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

    def _held_by_all(self, path: Path, shown: Shown, standing: Sequence[Party]) -> dict[str, Held]:
        """Test claims on a stranger's file; if it cannot be run, the results say so.

        How a file fails on secret triggers may depend on them, and its maker reads the results.
        """
        loaded = False
        try:
            with self._opened(path) as model:
                if not shown.release.model.has_same_files(model.reference):
                    raise IntegrityError(
                        f"{path} is not the model that the release record names: its files have "
                        "other digests",
                        hint="give the model unchanged, with all the files beside it",
                    )
                loaded = True
                found = {one.name: self.held(model, one) for one in standing}
        except (CannotRunError, SuspectDiedError, LimitError) as error:
            hidden = loaded and any(one.is_secret for one in standing)
            failure = FAILED_WHEN_RUN if hidden else str(error)
            return {
                one.name: Held(0.0, one.required_bits(self.min_bits), failure=failure)
                for one in standing
            }
        return {
            one.name: replace(found[one.name], failure=FAILED_WHEN_RUN)
            if one.is_secret and found[one.name].interrupted
            else found[one.name]
            for one in standing
        }

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
        except (CannotRunError, SuspectDiedError, LimitError) as error:
            return Lineage(failure=str(error))

    @contextmanager
    def _suspect_anew(self) -> Iterator[Suspect]:
        """Load the suspect into a fresh process with a budget of its own; not so a function."""
        if not isinstance(self.suspect, OnnxFile):
            yield self.suspect
            return
        limits = self.limits or Limits()
        with held_to(limits.budget()), closing(self.suspect.loaded_anew()) as suspect:
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


def _mark(held: Held, party: Party, shown: Shown) -> Mark:
    """Say whether a model carries a party's mark.

    Disclosed triggers can be removed one by one by anybody: that a model lacks them shows nothing,
    unless it is older than their disclosure.
    """
    if held.mark is not Mark.lacking or party.disclosed is None:
        return held.mark
    older = shown.dating.is_trusted and shown.dating.latest < party.disclosed
    return Mark.lacking if older else Mark.unclear


def _why_unclear(held: Held, party: Party, shown: Shown) -> str:
    """Return why a mark counts neither as carried nor as lacking, as words after a model's name."""
    if held.failure is not None:
        return f"cannot be run: {held.failure}"
    if held.mark is Mark.unclear:
        shown_bits = "some" if party.is_secret else f"{held.bits:.1f}"
        return (
            f"shows {shown_bits} bits of the mark of {party.name}: {held.required_bits:g} are "
            f"required to carry it, and fewer than {LACKING_BITS:g} to be without it"
        )
    said = (
        f"shows next to nothing of the mark of {party.name}, but the triggers of this mark were "
        "disclosed in an evidence file, so that counts only for a model dated before it"
    )
    dating = shown.dating
    if dating.time is not None:
        return f"{said}, and it is {dated(dating)}"
    if not dating.refused:
        return f"{said}, and its release record has no timestamp (wmx release timestamp)"
    return (
        f"{said}, and no timestamp of its release record is trusted here: "
        f"{'; '.join(dating.refused)} (give the root certificate of the authority with --roots)"
    )
