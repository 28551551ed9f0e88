"""Which parties can verify at all, by what they have stated before anything is run.

An evidence that states too few bits costs no time on the suspect, and does not raise the penalty of
the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Self

from wmx.disputes.held import LEAST_BITS, Held
from wmx.disputes.party import Party, Shown
from wmx.protocol.dating import Dating
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Relation


@dataclass(frozen=True)
class Contenders:
    """The parties whose claims are tested, and what the choice among them costs.

    Attributes:
        names: of these parties.
        tried: their claims times the models on which these may be tested.
        tried_by_all: the same for all parties.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        suspect_dating: when the suspect existed, as far as that was shown.
    """

    names: frozenset[str]
    tried: int
    tried_by_all: int
    min_bits: float | None
    suspect_dating: Dating

    @classmethod
    def among(
        cls,
        parties: Sequence[Party],
        records: Sequence[Shown],
        suspect: ModelReference,
        min_bits: float | None,
        suspect_dating: Dating,
    ) -> Self:
        """Leave out the parties that cannot verify, those that state the least first.

        Each that is left out lowers the penalty of the others, so only the weakest are out at each
        step.  No answer of a model has a say, so the penalty counts none but those that are left.

        Args:
            parties: of the dispute.
            records: release records, with the models that were shown.
            suspect: the model in dispute.
            min_bits: required instead of 128, or 64 with a trusted timestamp.
            suspect_dating: when the suspect existed, as far as that was shown.
        """
        by_all = len(parties) * (_originals(parties, records, suspect) + 1)
        able = [party for party in parties if party.failure is None]
        while able:
            spare = {
                party.name: party.stated_bits - party.required_bits(min_bits, suspect_dating)
                for party in able  # infinite for one with its key
            }
            tried = len(able) * (_originals(able, records, suspect) + 1)
            least = min(spare.values())
            if least >= log2(tried):
                return cls(frozenset(spare), tried, by_all, min_bits, suspect_dating)
            able = [party for party in able if spare[party.name] > least]
        return cls(frozenset(), 1, by_all, min_bits, suspect_dating)

    def most_bits(self, party: Party) -> float:
        """Return the bits that a party can have on the suspect by what it states.

        One that is not counted in the penalty pays for all, with which it cannot verify.
        """
        return party.stated_bits - log2(
            self.tried if party.name in self.names else self.tried_by_all
        )

    def refused(self, party: Party) -> Held | None:
        """Return the result of a party that is not tested; ``None`` for one that is.

        One that could verify if its claim were dated, or fewer bits were asked for, is tested too,
        as it keeps others from being named (:attr:`~wmx.disputes.settling.Settlement.unclear`); it
        is not counted, as it cannot be named.
        """
        required = party.required_bits(self.min_bits, self.suspect_dating)
        if party.failure is not None:
            return Held(0.0, required, failure=party.failure, interrupted=True)
        if party.name in self.names or self.most_bits(party) >= LEAST_BITS:
            return None
        return Held(
            0.0,
            required,
            failure=f"its evidence states {party.stated_bits:.1f} bits, expected {required:g} and "
            "the penalty for all claims and models",
            unfit=party.stated_bits < LEAST_BITS,
        )


def own_records(party: Party, records: Sequence[Shown]) -> list[Shown]:
    """Return the records of models that a party calls its own.

    Args:
        party: who has signed them.
        records: all that were shown.
    """
    return [
        one
        for one in records
        if one.release.relation is Relation.own and one.release.claim.digest == party.claim_digest
    ]


def _originals(parties: Sequence[Party], records: Sequence[Shown], suspect: ModelReference) -> int:
    """Return the number of models beside the suspect that these parties have signed and shown."""
    return len(
        {
            one.release.model.identity
            for party in parties
            for one in own_records(party, records)
            if one.model is not None and not one.release.model.has_same_files(suspect)
        }
    )
