"""Settling a dispute: hold every claim against the suspect and the originals, then compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Literal, TypeAlias

from wmx.disputes.decision import Case, Comparison, Mark, compare_all, named
from wmx.disputes.party import Party
from wmx.errors import CannotRunError, UsageError
from wmx.sandbox.limits import Limits
from wmx.sandbox.process import Sandbox
from wmx.suspect import Suspect
from wmx.suspect.device import Device
from wmx.suspect.onnx_file import OnnxFile
from wmx.verdict import bits_to_ask, measure

Outcome: TypeAlias = Literal["named", "undecided", "uncontested", "no claim verifies"]
LACKING_PART = 0.5  # of the bits that are asked for: with fewer a model counts as without the mark


@dataclass(frozen=True)
class Held:
    """A claim held against a model.

    Attributes:
        bits: of evidence.
        required_bits: that were asked for.
        hits, n: triggers whose label is the top class, of how many.
        failure: why the model cannot be asked; the figures are then 0.
    """

    bits: float
    required_bits: float
    hits: int = 0
    n: int = 0
    failure: str | None = None

    @property
    def verified(self) -> bool:
        """Whether the bits suffice."""
        return self.bits >= self.required_bits

    @property
    def mark(self) -> Mark:
        """Whether the model carries the mark; unclear where it cannot be asked.

        A thief who has the model could try many claims for one that fits it by chance.  For half
        of the bits that are asked for he needs the square root of the tries.
        """
        if self.verified:
            return Mark.carried
        if self.failure is None and self.bits < LACKING_PART * self.required_bits:
            return Mark.lacking
        return Mark.unclear


@dataclass(frozen=True)
class Original:
    """A party's own model.

    Attributes:
        path, sha256: of the file.
        held: every standing claim held against it, by the party's name.
    """

    path: Path
    sha256: str
    held: dict[str, Held]


@dataclass(frozen=True)
class Settlement:
    """What was found.

    Attributes:
        suspect, suspect_sha256: name of the suspect and SHA-256 of its file.
        suspect_external: of the files beside it that hold its weights, by name.
        parties: in the order of their names.
        held: every claim held against the suspect, by the party's name.
        originals: of the parties whose claims verify and who gave one, by name.
        cases: what was shown by the parties whose claims verify.
        comparisons: of every pair of them.
        named: who is ahead of all others; ``None`` if nobody is.
        tried: claims times models, whose log2 is subtracted from all bits.
    """

    suspect: str
    suspect_sha256: str | None
    suspect_external: Mapping[str, str]
    parties: tuple[Party, ...]
    held: dict[str, Held]
    originals: dict[str, Original]
    cases: list[Case]
    comparisons: list[Comparison]
    named: str | None
    tried: int

    @property
    def standing(self) -> list[Party]:
        """The parties whose claims verify on the suspect; the others are out of the dispute."""
        return [party for party in self.parties if self.held[party.name].verified]

    @property
    def outcome(self) -> Outcome:
        """In a word."""
        if self.named is not None:
            return "named"
        match len(self.standing):
            case 0:
                return "no claim verifies"
            case 1:
                return "uncontested"
        return "undecided"


def settle(
    suspect: Suspect,
    parties: Sequence[Party],
    *,
    min_bits: float | None = None,
    device: Device = "auto",
    limits: Limits | None = None,
) -> Settlement:
    """Compare what the parties have shown; their order is of no account.

    Args:
        suspect: what they dispute about, opened.
        parties: two or more, each with a name of its own.
        min_bits: asked for instead of 128, or 64 with a trusted timestamp.
        device: where the originals run.
        limits: of each process that runs one.

    Raises:
        UsageError: fewer than two parties, or two claims of one owner.
        CannotRunError: an original cannot be read or loaded.
        SuspectDiedError: the process of a model crashed, or ran into a limit.
    """
    _require_opponents(parties)
    ordered = tuple(sorted(parties, key=lambda party: party.name))
    tried = len(parties) * (1 + sum(party.original is not None for party in parties))
    held = {party.name: _held(suspect, party, min_bits, tried, suspected=True) for party in ordered}
    standing = [party for party in ordered if held[party.name].verified]
    originals = {}
    for party in standing:
        if party.original is not None:
            with Sandbox.start(limits) as sandbox:
                model = OnnxFile.open(party.original, device, sandbox)
                against = {one.name: _held(model, one, min_bits, tried) for one in standing}
            assert model.sha256 is not None
            originals[party.name] = Original(party.original, model.sha256, against)
    cases = [_case(party, originals.get(party.name)) for party in standing]
    comparisons = compare_all(cases)
    return Settlement(
        suspect=suspect.name,
        suspect_sha256=suspect.sha256,
        suspect_external=suspect.external,
        parties=ordered,
        held=held,
        originals=originals,
        cases=cases,
        comparisons=comparisons,
        named=named(cases, comparisons),
        tried=tried,
    )


def _held(
    model: Suspect, party: Party, min_bits: float | None, tried: int, *, suspected: bool = False
) -> Held:
    """Hold a party's claim against a model, as ``wmx verify`` does."""
    required = bits_to_ask(min_bits, trusted_timestamp=party.dating.is_trusted)
    try:
        verdict = measure(
            model,
            party.window,
            required=required,
            claims_tried=tried * party.claims_tried,
            starts=party.starts,
        )
    except CannotRunError as error:
        return Held(0.0, required, failure=str(error))
    bits = verdict.bits
    if suspected:
        bits = min(bits, party.stated_bits - log2(tried))
    return Held(bits, required, verdict.hits, verdict.n)


def _case(party: Party, original: Original | None) -> Case:
    if original is None:
        return Case(party.name, party.dating)
    marks = {name: held.mark for name, held in original.held.items()}
    return Case(party.name, party.dating, marks)


def _require_opponents(parties: Sequence[Party]) -> None:
    if len(parties) < 2:
        raise UsageError(
            f"{len(parties)} claims, expected two or more",
            hint="a single claim is what wmx verify is for",
        )
    names = [party.name for party in parties]
    if len(set(names)) < len(names):
        raise UsageError("two claims have one name", hint="give each file once")
    owners: dict[bytes, str] = {}
    for party in parties:
        other = owners.setdefault(party.window.claim.owner, party.name)
        if other != party.name:
            raise UsageError(
                f"{other} and {party.name} are claims of one owner, and that is no dispute",
                hint="give the claim of each owner that is to be compared",
            )
