"""The five experts in words, with the bits that each gives."""

from dataclasses import dataclass

from wmx.statistics.mixture import EvidenceScore

MEANINGS = {  # of the experts of wmx.statistics.experts
    "agreement": "how often the predicted class is the label",
    "rank": "how high the label's score ranks among the scores of all classes",
    "softmax": "how far the label's score stands out from the model's usual score for that class",
    "mapping": "whether each predicted class always goes with the same label, so that renamed, "
    "merged or permuted classes count too",
    "neighbours": "whether triggers with similar scores have the same label, so that a replaced "
    "output layer or an embedding counts too",
}


@dataclass(frozen=True)
class ExpertBits:
    """One of the five experts, in the probe with the most evidence.

    Attributes:
        name: as in evidence files.
        meaning: what it looks at, in words.
        bits: of evidence.
    """

    name: str
    meaning: str
    bits: float


def expert_bits(score: EvidenceScore) -> list[ExpertBits]:
    """Return the experts of the probe with the most evidence."""
    return [ExpertBits(name, MEANINGS[name], bits) for name, bits in score.best.experts.items()]
