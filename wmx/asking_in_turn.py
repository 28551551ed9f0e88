"""Asking a suspect that counts every question: a few triggers at a time, until it is enough.

The bits may be looked at after any trigger (docs/statistics.md), so one stops where they suffice.
Which ways go on never hangs on what they have earned: a server that remembers would learn from it
about labels of triggers that it is asked again in another way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wmx.answers import Answers
from wmx.errors import CannotRunError
from wmx.suspect import Suspect
from wmx.suspect.feeding import Feeding
from wmx.ways import NO_SHIFT, SHIFTS, Way, shifted
from wmx.window import Window

BATCH = 4  # triggers after which the bits are looked at
Enough = Callable[[Mapping[Way, Answers], int], bool]


@dataclass(frozen=True)
class Variant:
    """A feeding, with the shift and the scaling in which inputs are fed."""

    feeding: Feeding
    shift: tuple[int, int] = NO_SHIFT
    scaling: str = ""

    def way(self, output: str) -> Way:
        """The way that reads ``output``."""
        return Way(self.feeding.name, output, self.shift, self.scaling)


def answers_in_turn(
    suspect: Suspect, window: Window, enough: Enough
) -> tuple[dict[Way, Answers], int]:
    """Ask the triggers in order, first as they are, then in other scalings, then shifted.

    Args:
        suspect: what is asked; its ``queries_left`` are never exceeded.
        window: the triggers.
        enough: told the answers so far, and how many triggers they are to; whether to stop.

    Returns:
        the answers of all ways that were begun, and to how many triggers those of plain ways are.

    Raises:
        CannotRunError: no way of feeding it works, or not one trigger may be asked.
    """
    feedings = suspect.feedings(window.task)
    found: dict[Way, Answers] = {}
    asked = _ask(suspect, [Variant(one) for one in feedings], window, found, enough)
    working = {way.layout for way in found}
    feedings = [one for one in feedings if one.name in working]
    others = [Variant(one, scaling=name) for one in feedings for name in one.scalings[1:]]
    shifts = [Variant(one, shift) for one in feedings for shift in SHIFTS]
    for variants in (others, shifts if window.task.kind == "image" else []):
        if not enough(found, asked) and variants and asked == len(window):
            _ask(suspect, variants, window, found, lambda given, _: enough(given, asked))
    return found, asked


def _ask(
    suspect: Suspect,
    variants: list[Variant],
    window: Window,
    found: dict[Way, Answers],
    enough: Enough,
) -> int:
    """Ask all variants side by side, and return to how many triggers all have answered."""
    plain = set(found)
    asked = 0
    while asked < len(window):
        count = min(BATCH, len(window) - asked)
        left = suspect.queries_left
        if left is not None and left < count * len(variants):
            break
        rows = slice(asked, asked + count)
        failures = []
        for variant in list(variants):
            try:
                _extend(suspect, variant, window, rows, found, plain)
            except CannotRunError as error:
                failures.append(error)
                variants.remove(variant)
        if failures and (not variants or (asked and not plain)):
            if plain:
                break
            raise failures[0]  # no way works, or one that did works no longer
        asked += count
        if enough(found, asked):
            break
    if not found:
        raise CannotRunError(
            f"{suspect.name} may be asked {suspect.queries_left} more inputs, and {BATCH} triggers "
            "in every way of feeding it are more",
            hint="raise --max-queries",
        )
    return asked


def _extend(
    suspect: Suspect,
    variant: Variant,
    window: Window,
    rows: slice,
    found: dict[Way, Answers],
    plain: set[Way],
) -> None:
    """Add the answers to some triggers; in variations only of ways that are there as plain ones."""
    triggers = window.triggers[rows]
    inputs = triggers if variant.shift == NO_SHIFT else shifted(triggers, *variant.shift)
    given = suspect.answers(variant.feeding, inputs, window.task, variant.scaling or None)
    for output, answers in given.items():
        way = variant.way(output)
        if plain and way.plain not in plain:
            continue
        if rows.start == 0:
            found[way] = answers
        elif way in found and len(found[way]) == rows.start and found[way].has_columns_of(answers):
            found[way] = found[way].followed_by(answers)
