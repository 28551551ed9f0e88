"""Asking a suspect: the triggers as they are, in other units, and moved by a few pixels."""

from collections.abc import Mapping
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
MAX_SHIFTED_SCORES = 2**26  # of all shifts together: half a gibibyte


def plain_answers(suspect: Suspect, window: Window) -> dict[Way, Answers]:
    """Return the answers to the triggers as they are, for every feeding and output that works.

    A model whose axes are all declared free seems to take more layouts than it does; those that
    fail when run are left out.

    Raises:
        CannotRunError: no feeding works.
    """
    found: dict[Way, Answers] = {}
    failures = []
    for feeding in suspect.feedings(window.task):
        try:
            outputs = suspect.answers(feeding, window.triggers, window.task)
        except CannotRunError as error:
            failures.append(error)
        else:
            found |= {Way(feeding.name, output): given for output, given in outputs.items()}
    if not found:
        raise failures[0]
    return found


def rescaled_answers(
    suspect: Suspect, plain: Mapping[Way, Answers], window: Window
) -> dict[Way, Answers]:
    """Return the answers to all triggers in every other usual scaling of pixels and features.

    Args:
        suspect: what is asked.
        plain: the answers to the triggers as they are; only their ways have a share.
        window: the triggers.
    """
    found: dict[Way, Answers] = {}
    for feeding in suspect.feedings(window.task):
        for scaling in feeding.scalings[1:]:
            given = _answers_or_none(suspect, feeding, window.triggers, window, scaling)
            found |= {
                Way(feeding.name, output, scaling=scaling): answers
                for output, answers in given.items()
                if Way(feeding.name, output) in plain
            }
    return found


def shifted_answers(
    suspect: Suspect, plain: Mapping[Way, Answers], window: Window
) -> dict[Way, Answers]:
    """Play every shift on the first triggers, and to the end where that did not lose.

    Stopping a bet by what it has earned so far is allowed to any martingale.  Which shifts go on
    tells the suspect something about the labels of the first triggers; so all shifts of these are
    asked for before, and none of them again: a suspect that remembers would else learn the labels
    from one shift to the next.

    Args:
        suspect: what is asked.
        plain: the answers to the triggers as they are.
        window: the triggers.

    Returns:
        answers to all triggers, or to the first :data:`PROBE` of ways that stopped there.
    """
    ways = _affordable(plain)
    feedings = [
        feeding
        for feeding in suspect.feedings(window.task)
        if feeding.name in {way.layout for way in ways}
    ]
    found: dict[Way, Answers] = {}
    for shift in SHIFTS:
        inputs = shifted(window.triggers[:PROBE], *shift)
        for feeding in feedings:
            for output, given in _answers_or_none(suspect, feeding, inputs, window).items():
                if Way(feeding.name, output) in ways:  # only these have a share
                    found[Way(feeding.name, output, shift)] = given
    if len(window) <= PROBE:
        return found
    for shift in SHIFTS:
        for feeding in feedings:
            going_on = [
                way
                for way, given in found.items()
                if (way.layout, way.shift) == (feeding.name, shift) and _bits(given, window) > 0
            ]
            if not going_on:
                continue
            inputs = shifted(window.triggers[PROBE:], *shift)
            later = _answers_or_none(suspect, feeding, inputs, window)
            for way in going_on:
                if way.output in later and found[way].has_columns_of(later[way.output]):
                    found[way] = found[way].followed_by(later[way.output])
    return found


def _affordable(plain: Mapping[Way, Answers]) -> set[Way]:
    """Return the plain ways whose shifts fit the memory together, the narrowest first."""
    left = MAX_SHIFTED_SCORES
    chosen = set()
    for way in sorted(plain, key=lambda way: (plain[way].scores.size, way.name)):
        left -= len(SHIFTS) * plain[way].scores.size
        if left >= 0:
            chosen.add(way)
    return chosen


def _answers_or_none(
    suspect: Suspect,
    feeding: Feeding,
    inputs: NDArray[Any],
    window: Window,
    scaling: str | None = None,
) -> dict[str, Answers]:
    """Return the answers of every output; none where the model fails."""
    try:
        return suspect.answers(feeding, inputs, window.task, scaling)
    except CannotRunError:
        return {}


def _bits(answers: Answers, window: Window) -> float:
    return evidence_bits(answers, window.labels[: len(answers)], window.task.classes)
