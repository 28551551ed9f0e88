"""How many triggers a claim needs: said before a model is trained with too few."""

from typing import TYPE_CHECKING

from wmx.cli.output import warn
from wmx.errors import UsageError

if TYPE_CHECKING:
    from wmx.protocol.task import Task


def require_enough_triggers(n: int | None, task: "Task", *, own_images: bool) -> None:
    """Refuse a number of triggers with which no trained model could verify.

    Args:
        n: number of triggers; the default if ``None``.
        task: of the data.
        own_images: whether they are images of the owner's own.

    Raises:
        UsageError: there are too few.
    """
    from wmx.statistics.experts import BITS_WITHOUT_TIMESTAMP

    problem, remedy = _too_few(n, task, BITS_WITHOUT_TIMESTAMP, own_images=own_images)
    if problem:
        raise UsageError(problem, hint=remedy)


def warn_of_too_few_triggers(n: int, task: "Task", *, own_images: bool) -> None:
    """Warn on stderr of a number with which no model could verify by default.

    It is no error: a claim may be dated before a model is trained, or be tested with --min-bits.

    Args:
        n: number of triggers.
        task: of the claim.
        own_images: whether they are images of the owner's own.
    """
    from wmx.statistics.attainable import fewest_triggers
    from wmx.statistics.experts import BITS_WITH_TIMESTAMP, BITS_WITHOUT_TIMESTAMP

    problem, remedy = _too_few(n, task, BITS_WITHOUT_TIMESTAMP, own_images=own_images)
    if problem:
        dated = f"{BITS_WITH_TIMESTAMP:g} with a trusted timestamp"
        if n >= fewest_triggers(task, BITS_WITH_TIMESTAMP):
            dated += ", for which these suffice"
        warn(f"{problem} ({dated}); {remedy}")


def _too_few(n: int | None, task: "Task", required: float, *, own_images: bool) -> tuple[str, str]:
    """Return what is wrong with a number of triggers and what to do; empty if nothing is."""
    from wmx.statistics.attainable import bits_of_all_hits, fewest_triggers
    from wmx.watermark import default_trigger_count

    fewest, default = fewest_triggers(task, required), default_trigger_count(task.classes)
    if n is None or n >= fewest:
        return "", ""
    bits = f"about {max(0.0, bits_of_all_hits(n, task)):.0f} bits"
    problem = (
        f"{n} trigger{'' if n == 1 else 's'} of {task.classes} classes give {bits} where a model "
        f"has learned all of them, {required:g} are needed"
    )
    if own_images:
        return problem, f"{fewest} or more images are needed in the folder of --trigger-images"
    return problem, f"take {fewest} or more with -n (default: {default})"
