"""How many bits a number of triggers can give: to any model, and to one that has learned all."""

from math import ceil, floor, lgamma, log, log2

from wmx.protocol.task import Task
from wmx.statistics.experts import EXPERTS
from wmx.statistics.mixture import EvidenceScore
from wmx.statistics.probe import ALONE, TOGETHER, Probe, log2_share

ROUNDING = 1e-6  # of sums of bets; a miss costs more than a bit


def most_bits(n: int, classes: int) -> float:
    """Return the bits that no suspect exceeds on n triggers: an expert gains log2 K with each.

    >>> from wmx.statistics.attainable import most_bits
    >>> most_bits(16, classes=256)
    128.0

    Args:
        n: number of triggers.
        classes: K.
    """
    return n * log2(classes)


def too_few_triggers(
    n: int, most: float, *, required: float, penalty: float = 0.0, which: str = ""
) -> str | None:
    """Return, in words, that n triggers cannot give the required bits; ``None`` if they can.

    What counts is what a model reaches that knows every label, and not the n log2 K that no model
    exceeds: between the two an exact copy would be called a model without the mark.

    Args:
        n: number of triggers.
        most: bits of such a model, all penalties subtracted (:func:`attainable_bits`).
        required: bits needed to verify.
        penalty: bits that were subtracted for choices.
        which: a word for the triggers, such as ``"undisclosed"``.
    """
    if most >= required:
        return None
    triggers = f"{which} trigger".strip() + ("" if n == 1 else "s")
    give = "gives" if n == 1 else "give"
    chosen = f" after the penalty of {penalty:.1f} for choices" if penalty else ""
    bits = f"about {_below(most, required)} bits{chosen} where a model has learned "
    every = "it" if n == 1 else "all of them"
    return f"{n} {triggers} {give} {bits}{every}, {required:g} are needed"


def _below(most: float, required: float) -> str:
    """Return bits rounded to an integer, or cut where that would be as many as are required."""
    rounded = f"{max(0.0, most):.0f}"
    return rounded if float(rounded) < required else f"{floor(100 * most) / 100:.2f}"


def bits_of_all_hits(n: int, task: Task) -> float:
    """Return about how many bits a model gives that predicts the label of each of n triggers.

    The expert "agreement" wins then, which pays for learning the rate of hits; its share of the
    mixture is paid for too, where the model is fed and read in one way, and predicts the same
    whatever the number of rows.

    Args:
        n: number of triggers.
        task: of the model.
    """
    probes = (Probe("", "", rows=rows) for rows in (TOGETHER, ALONE))
    share = sum(2 ** log2_share(probe, task.kind, 1) for probe in probes)
    return _agreement(n, task.classes) - log2(len(EXPERTS)) + log2(share)


def attainable_bits(score: EvidenceScore, n: int) -> float:
    """Return the bits of a model that knows every label, by the test that this score is of.

    The more probes there are, the smaller the share of each: such a model is taken to predict the
    labels by one output, fed plainly, in whatever number of rows.  Where a probe did predict every
    label and got no further, that is what can be reached.

    Args:
        score: of the test; which probes it has depends on no label.
        n: number of triggers; where it is that of the score, all were sent.

    Returns:
        bits, the penalty subtracted.
    """
    shares: dict[int, float] = {}
    for result in score.results:
        if result.probe.is_plain and not result.probe.view:
            rows = result.probe.rows
            shares[rows] = max(shares.get(rows, 0.0), 2**result.log2_share)
    usual = sum(share for rows, share in shares.items() if rows in (TOGETHER, ALONE))
    share = usual or max(2**result.log2_share for result in score.results)
    most = _agreement(n, score.classes) - log2(len(EXPERTS)) + log2(share) - score.penalty
    return min(most, score.bits) if n == score.n and _has_hit_all(score) else most


def _has_hit_all(score: EvidenceScore) -> bool:
    """Say whether some probe predicted the label of every trigger that it was given."""
    for result in score.results:
        bets = result.bets["agreement"]
        if len(bets) and bets.sum() > _agreement(len(bets), score.classes) - ROUNDING:
            return True
    return False


def _agreement(n: int, classes: int) -> float:
    """Return log2 of the wealth of the expert "agreement" after n hits in n predictions."""
    # log2 of the product of (t + 1/2) / (t + 1) for t < n, which is 2n over n, divided by 4**n
    learned = (lgamma(2 * n + 1) - 2 * lgamma(n + 1)) / log(2) - 2 * n
    return most_bits(n, classes) + learned


def fewest_triggers(task: Task, required: float) -> int:
    """Return how many triggers a model has to know to give the required bits.

    Args:
        task: of the model.
        required: bits needed to verify.
    """
    n = max(1, ceil(required / log2(task.classes)))
    while bits_of_all_hits(n, task) < required:
        n += 1
    return n
