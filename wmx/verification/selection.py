"""What was chosen before the evidence was counted, and the penalty for it."""

from dataclasses import dataclass
from math import log2

from wmx.suspect.overrides import NO_OVERRIDES, Overrides


@dataclass(frozen=True)
class Selection:
    """What was chosen before the evidence was counted, and out of how many.

    Whoever may try N and keep the one with the most evidence has N chances.  If each reaches b +
    log2 N bits by chance with probability at most 2**-b / N, then by the union bound any of them
    does with at most 2**-b, however the choice is made; so a choice out of N costs log2 N bits.

    >>> from wmx.verification import Selection
    >>> Selection(claims_tried=4, starts=128).penalty
    9.0

    Attributes:
        claims_tried: number of claims tested on the suspect, of which one is reported.
        starts: number of triggers that the trigger slice could have begun with: all n of the claim
            in an evidence, since nobody can know that its start was not chosen; 1 where it was
            fixed beforehand.
        overrides: of the suspect's inputs and outputs; their penalty follows from their length
            (:attr:`~wmx.suspect.overrides.Overrides.penalty`).
    """

    claims_tried: int = 1
    starts: int = 1
    overrides: Overrides = NO_OVERRIDES

    @property
    def penalty(self) -> float:
        """Bits to subtract from the evidence: choices made together add up."""
        return log2(self.claims_tried) + log2(self.starts) + self.overrides.penalty


NO_SELECTION = Selection()
