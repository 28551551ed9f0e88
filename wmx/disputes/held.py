"""What was found where claims were tested: on the suspect, and on a model of a party's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wmx.disputes.decision import Mark, Original
from wmx.disputes.explanations import dated
from wmx.disputes.party import Party, Shown
from wmx.statistics.experts import required_bits
from wmx.statistics.probe import Probe

# that some claim verifies with: whoever has them is not out because more were asked for
LEAST_BITS = required_bits(trusted_timestamp=True)
# with fewer a model counts as without the mark: half of what a dated claim needs, for all claims,
# so that nobody can make a mark count as lacking by leaving out the date of its claim
LACKING_BITS = LEAST_BITS / 2


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
        left_out: what of the model's answers is not in this result, in words; ``None`` if nothing
            is.  On a suspect it may hide a mark.  On an original it counts for nothing: whoever
            hides another's mark there could as well have erased it.
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
    left_out: str | None = None

    @property
    def verified(self) -> bool:
        """Whether the bits reach what is required."""
        return self.bits >= self.required_bits

    @property
    def mark(self) -> Mark:
        """Whether the model carries the mark; unclear where it cannot be run.

        So is one of which so few triggers are left that an exact copy would seem to lack it, or one
        that has half of the bits of an exact copy.

        Thieves who have the model could try many claims for one that fits it by chance, so that it
        seems unclear: that takes 2**32 tries, and names nobody.
        """
        if self.verified:
            return Mark.carried
        tells = self.failure is None and self.attainable >= LACKING_BITS
        if tells and self.bits < min(LACKING_BITS, self.attainable / 2):
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


def mark_of(held: Held, party: Party, shown: Shown) -> Mark:
    """Say whether a model carries a party's mark.

    Disclosed triggers can be removed one by one by anybody: that a model lacks them shows nothing,
    unless it is older than their disclosure.  What a party has signed itself, and so keeps others
    from being named, lacks its mark only by triggers with which an exact copy would carry it.

    Args:
        held: the party's claim, tested on the model.
        party: whose mark it is.
        shown: the release record of the model.
    """
    if held.mark is Mark.lacking and _is_own_by_few(held, party, shown):
        return Mark.unclear
    if held.mark is not Mark.lacking or party.disclosed is None:
        return held.mark
    older = shown.dating.is_trusted and shown.dating.latest < party.disclosed
    return Mark.lacking if older else Mark.unclear


def _is_own_by_few(held: Held, party: Party, shown: Shown) -> bool:
    """Say whether a party has signed the model, and few of its triggers are left."""
    own = shown.release.claim.digest == party.claim_digest
    return own and held.attainable < LEAST_BITS


def why_unclear(held: Held, party: Party, shown: Shown) -> str:
    """Return why a mark counts neither as carried nor as lacking, as words after a model's name.

    Args:
        held: the party's claim, tested on the model.
        party: whose mark it is.
        shown: the release record of the model.
    """
    if held.failure is not None:
        return f"cannot be run: {held.failure}"
    if held.mark is Mark.unclear or _is_own_by_few(held, party, shown):
        shown_bits = "some" if party.is_secret else f"{held.bits:.1f}"
        return (
            f"shows {shown_bits} bits of the mark of {party.name}: {held.required_bits:g} are "
            f"required to carry it, and to be without it fewer than {LACKING_BITS:g}, or than half "
            "of what an exact copy would show, where so few triggers are left"
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
