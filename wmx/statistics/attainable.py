"""How many bits a number of triggers can give: to any model, and to one that has learned all."""

from math import ceil, floor, lgamma, log, log2

from wmx.protocol.task import Task
from wmx.statistics.experts import EXPERTS
from wmx.statistics.mixture import ALONE, TOGETHER, Probe, log2_share


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
    n: int, classes: int, *, required: float, penalty: float = 0.0, which: str = ""
) -> str | None:
    """Return, in words, that n triggers can never give the required bits; ``None`` if they can.

    Args:
        n: number of triggers.
        classes: K.
        required: bits needed to verify.
        penalty: bits that are subtracted for choices.
        which: a word for the triggers, such as ``"undisclosed"``.
    """
    most = most_bits(n, classes) - penalty
    if most >= required:
        return None
    triggers = f"{which} trigger".strip() + ("" if n == 1 else "s")
    give = "gives" if n == 1 else "give"
    chosen = f" after the penalty of {penalty:.1f} for choices" if penalty else ""
    bits = f"{_below(most, required)} bits at most{chosen}"
    return f"{n} {triggers} {give} {bits}, {required:g} are needed"


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
    # log2 of the product of (t + 1/2) / (t + 1) for t < n, which is 2n over n, divided by 4**n
    learned = (lgamma(2 * n + 1) - 2 * lgamma(n + 1)) / log(2) - 2 * n
    probes = (Probe("", "", rows=rows) for rows in (TOGETHER, ALONE))
    share = sum(2 ** log2_share(probe, task.kind, 1) for probe in probes)
    return most_bits(n, task.classes) + learned - log2(len(EXPERTS)) + log2(share)


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
