"""Settling a dispute: test every claim on the suspect and the originals, then compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal, TypeAlias

from wmx.disputes.contenders import Contenders, own_records
from wmx.disputes.decision import (
    Case,
    Comparison,
    Objection,
    Pair,
    best_originals,
    compare_all,
    leader,
    objections,
)
from wmx.disputes.held import LEAST_BITS, Exhibit, Held
from wmx.disputes.holding import Bench
from wmx.disputes.lineage import Lineage
from wmx.disputes.party import Party, Shown
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.dating import Dating, earliest
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Relation
from wmx.suspect.sandbox.limits import Limits
from wmx.suspect.suspect import Suspect
from wmx.suspect.types import Device

Outcome: TypeAlias = Literal["named", "undecided", "uncontested", "no claim verifies"]
MAX_PARTIES = 16
MAX_RECORDS = 16


@dataclass(frozen=True)
class Settlement:
    """What was found.

    Attributes:
        suspect: name of the suspect, and the digests of its files.
        suspect_dating: by when it existed, from records that name it.
        parties: in the order of their names.
        held: every claim tested on the suspect, by the party's name.
        exhibits: what the parties whose claims verify have signed as their own; where one of these
            is ahead of all others, what those have signed whose claims do not.
        cases: what was shown by the parties whose claims verify.
        lineages: results for pairs of originals, by their identities.
        comparisons: of every pair of parties.
        named: who is ahead of all others, if nothing speaks against it; else ``None``.
        unclear: names of parties whose claims do not verify only for want of a trusted timestamp,
            of undisclosed triggers, of bits that were asked for or the penalty of a dispute, or of
            a test that was carried to its end, or against their own evidence.  They keep others
            from being named.
        objections: models of parties whose claims do not verify, which keep the one from being
            named who is ahead of all others.
        tried: claims times models that could be tested by what the parties stated, whose log2 is
            subtracted from all bits.
        min_bits: what was asked for instead of 128, or 64 with a trusted timestamp.
    """

    suspect: ModelReference
    suspect_dating: Dating
    parties: tuple[Party, ...]
    held: Mapping[str, Held]
    exhibits: Sequence[Exhibit]
    cases: Sequence[Case]
    lineages: Mapping[Pair, Lineage]
    comparisons: Sequence[Comparison]
    named: str | None
    unclear: Sequence[str]
    objections: Sequence[Objection]
    tried: int
    min_bits: float | None

    @property
    def standing(self) -> list[Party]:
        """The parties whose claims verify on the suspect; the others are out of the dispute."""
        return [party for party in self.parties if self.held[party.name].verified]

    @property
    def outcome(self) -> Outcome:
        """The outcome in a word or two."""
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
    records: Sequence[Shown] = (),
    *,
    min_bits: float | None = None,
    device: Device = "auto",
    limits: Limits | None = None,
    weights: Sequence[Path] = (),
    apart_from: Sequence[Path] = (),
) -> Settlement:
    """Compare what the parties have shown; their order does not matter.

    Args:
        suspect: the model in dispute, opened.
        parties: two or more, each with a name of its own.
        records: release records: of models that parties call their own, each with that model, and
            of the suspect itself.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        device: where the originals run.
        limits: of time and memory for each of them; the defaults if ``None``.
        weights: files with weights of models, where the name is not derived from the model's.
        apart_from: files and folders that never hold weights.

    Raises:
        UsageError: ``min_bits`` is too low, fewer than two parties or more than 16, two claims of
            one owner, or a record of a claim that no party has.
        IntegrityError: a model is not the one that its record names.
        CannotRunError: no claim verifies, and one was not tested to its end.
    """
    _require_opponents(parties)
    if min_bits is not None and min_bits < LEAST_BITS:
        raise UsageError(
            f"--min-bits is {min_bits:g}, expected {LEAST_BITS:g} or more in a dispute",
            hint="with fewer, a thief could try claims until an original seems to carry one",
        )
    _require_of_use(records, parties, suspect)
    records = sorted(records, key=lambda one: one.release.digest)
    ordered = tuple(
        party.dated_by(records) for party in sorted(parties, key=lambda party: party.name)
    )
    found = earliest(one.dating for one in records if _names(one, suspect))
    contenders = Contenders.among(ordered, records, suspect.reference, min_bits, found)
    bench = Bench(suspect, min_bits, contenders.tried, device, limits, weights, apart_from, found)
    held = {
        party.name: contenders.refused(party)
        or bench.on_suspect(party, contenders.most_bits(party))
        for party in ordered
    }
    standing = [party for party in ordered if held[party.name].verified]
    if not standing:
        _require_tested(held)
    unclear = [party.name for party in ordered if _is_unclear(held[party.name], party)]
    exhibits = [
        bench.exhibit(party, one, standing, held)
        for party in standing
        for one in own_records(party, records)
        if len(standing) > 1
    ]
    cases = [_case(party, records, exhibits) for party in standing]
    lineages = bench.lineages(standing, cases, exhibits, held)
    nearer = {pair: one.nearer for pair, one in lineages.items() if one.nearer is not None}
    comparisons = compare_all(cases, found, nearer)
    ahead = None if unclear else leader(cases, comparisons)
    against: list[Objection] = []
    if ahead is not None:
        out = [party for party in ordered if party not in standing]
        late = [
            bench.exhibit(party, one, _testable(party, contenders), held)
            for party in out
            for one in own_records(party, records)
        ]
        best = best_originals(ahead, cases)
        against = objections([_case(party, records, late) for party in out], best, found)
        exhibits += late
    return Settlement(
        suspect=suspect.reference,
        suspect_dating=found,
        parties=ordered,
        held=held,
        exhibits=exhibits,
        cases=cases,
        lineages=lineages,
        comparisons=comparisons,
        named=None if against else ahead,
        unclear=unclear,
        objections=against,
        tried=contenders.tried,
        min_bits=min_bits,
    )


def _testable(party: Party, contenders: Contenders) -> list[Party]:
    """Return the party, if its claim was tested on the suspect, and so counts in the penalty."""
    return [party] if contenders.refused(party) is None else []


def _is_unclear(held: Held, party: Party) -> bool:
    """Say whether a claim that does not verify here may be the suspect's all the same.

    Out is only who was tested to the end and has no mark there.  Whoever runs a dispute chooses the
    other parties, the bits and the limits, and may have made the suspect: what only these keep from
    verifying must not leave the field to somebody else.

    Args:
        held: the result of the claim on the suspect.
        party: whose claim it is.
    """
    if held.verified:
        return False
    if LEAST_BITS <= party.stated_bits < inf:  # its own evidence about the suspect says otherwise
        return True
    if held.failure is not None:
        return not held.unfit
    if held.alone >= LEAST_BITS:
        return True
    # by few triggers: more than chance, or all that these can give
    return held.too_few is not None and held.bits >= min(held.attainable, 0.0)


def _case(party: Party, records: Sequence[Shown], exhibits: Sequence[Exhibit]) -> Case:
    own = [one.release for one in own_records(party, records)]
    shown = {release.digest for release in own}
    return Case(
        party.name,
        party.claim_made,
        tuple(exhibit.original for exhibit in exhibits if exhibit.party == party.name),
        withholds=any(one.previous is not None and one.previous not in shown for one in own),
    )


def _names(shown: Shown, suspect: Suspect) -> bool:
    return shown.release.model.has_same_files(suspect.reference)


def _require_of_use(records: Sequence[Shown], parties: Sequence[Party], suspect: Suspect) -> None:
    if len(records) > MAX_RECORDS:
        raise UsageError(f"{len(records)} release records, expected at most {MAX_RECORDS}")
    if len({one.release.digest for one in records}) < len(records):
        raise UsageError("a release record was given twice", hint="give each record once")
    claims = {party.claim_digest for party in parties}
    for shown in records:
        release, model = shown.release, shown.release.model
        if _names(shown, suspect):
            continue
        if release.relation is Relation.found:
            raise UsageError(
                f"a release record (--found) is about {model.name}, which is not the suspect",
                hint=f"give the file with the SHA-256 {model.sha256} as the suspect, or leave "
                "the record out",
            )
        if release.claim.digest not in claims:
            raise UsageError(
                f"the release record of {model.name} is for the claim {release.claim.digest}, "
                "which no party has",
                hint="give this claim or an evidence file about it too, or leave the record out",
            )


def _require_tested(held: Mapping[str, Held]) -> None:
    """Refuse to say that no claim verifies where one was not tested to its end."""
    for name, one in held.items():
        if one.interrupted:
            raise CannotRunError(
                f"no claim verifies, and that of {name} was not tested to its end: {one.failure}",
                hint="leave that claim out, or, if time or memory was short, give it more with "
                "--seconds and --memory",
                in_python="leave that party out, or give it more with wmx.suspect.Limits",
            )


def _require_opponents(parties: Sequence[Party]) -> None:
    if len(parties) > MAX_PARTIES:
        raise UsageError(
            f"{len(parties)} claims, expected at most {MAX_PARTIES}",
            hint="leave out those that do not verify by themselves: wmx verify, wmx check",
        )
    if len(parties) < 2:
        raise UsageError(
            f"{len(parties)} claim{'' if len(parties) == 1 else 's'}, expected two or more",
            hint="wmx verify tests a single claim",
        )
    names = [party.name for party in parties]
    if len(set(names)) < len(names):
        raise UsageError("two claims have the same name", hint="give each file once")
    owners: dict[bytes, str] = {}
    for party in parties:
        other = owners.setdefault(party.trigger_slice.claim.owner, party.name)
        if other != party.name:
            raise UsageError(
                f"{other} and {party.name} are claims of the same owner, expected different owners",
                hint="give one claim of each owner",
            )
