"""Asking a suspect: the triggers as they are, and moved by a few pixels."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from wmx.answers import Answers
from wmx.errors import CannotRunError
from wmx.statistics import evidence_bits
from wmx.suspect import Suspect
from wmx.suspect.feeding import Feeding
from wmx.ways import SHIFTS, Way, shifted
from wmx.window import Window

PROBE = 32  # triggers after which a shifted feeding that has lost money stops playing


def plain_answers(suspect: Suspect, window: Window) -> dict[Way, Answers]:
    """Return the answers to the triggers as they are, for every feeding and output that works.

    A model whose axes are all declared free seems to take more layouts than it does; those that
    fail when run are left out.

    Raises:
        CannotRunError: no feeding works.
    """
    found: dict[Way, Answers] = {}
    failures = []
    inputs = window.inputs
    for feeding in suspect.feedings(window.task):
        try:
            outputs = suspect.answers(feeding, inputs, window.task)
        except CannotRunError as error:
            failures.append(error)
        else:
            found |= {Way(feeding.layout, output): given for output, given in outputs.items()}
    if not found:
        raise failures[0]
    return found


def shifted_answers(
    suspect: Suspect, plain_ways: Sequence[Way], window: Window
) -> dict[Way, Answers]:
    """Play every shift on the first triggers, and to the end where that did not lose.

    Stopping a bet by what it has earned so far is allowed to any martingale.  The answers to the
    first triggers are kept and not asked for again: a suspect whose answers change from call to
    call would otherwise get a second chance on them.

    Returns:
        answers to all triggers, or to the first :data:`PROBE` of ways that stopped there.
    """
    found: dict[Way, Answers] = {}
    layouts = {way.layout for way in plain_ways}
    feedings = [f for f in suspect.feedings(window.task) if f.layout in layouts]
    for shift in SHIFTS:
        inputs = window.task.model_input(shifted(window.triggers, *shift))
        for feeding in feedings:
            probed = _answers_or_none(suspect, feeding, inputs[:PROBE], window)
            going_on = [name for name, given in probed.items() if _bits(given, window) > 0]
            if going_on and len(inputs) > PROBE:
                later = _answers_or_none(suspect, feeding, inputs[PROBE:], window)
                for output in going_on:
                    if output in later and _same_columns(probed[output], later[output]):
                        probed[output] = probed[output].followed_by(later[output])
            for output, given in probed.items():
                way = Way(feeding.layout, output, shift)
                if way.plain in plain_ways:  # only these have a share
                    found[way] = given
    return found


def _answers_or_none(
    suspect: Suspect, feeding: Feeding, inputs: NDArray[Any], window: Window
) -> dict[str, Answers]:
    """Return the answers of every output; none where the model fails."""
    try:
        return suspect.answers(feeding, inputs, window.task)
    except CannotRunError:
        return {}


def _same_columns(first: Answers, later: Answers) -> bool:
    return first.scores.shape[1:] == later.scores.shape[1:]


def _bits(answers: Answers, window: Window) -> float:
    return evidence_bits(answers, window.labels[: len(answers)], window.task.classes)
