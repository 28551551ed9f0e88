"""Readings: the ways to read a model's outputs, as scores, class numbers or ranked classes.

They are found by shape and values, never by name or type: a model may return its scores as
integers, or its class numbers as floats.  The readings depend only on the outputs and on no label,
so each belongs to a probe with its share of the evidence score (docs/statistics.md).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.narrowest import narrowest
from wmx.statistics.predictions import NO_CLASS, Predictions

MAX_OUTPUTS = 8
MAX_READINGS = 16
MAX_SCORES = 2**24  # of all readings together; more than a classifier has, and a bound on memory
MAX_LISTED = 4096  # classes in a list
MAX_PARTS = 8  # of an output that has more columns than there are classes
EXACT = 2**53  # integers up to here are floats
NUMBERS = "biuf"  # of numpy's kinds


@dataclass(frozen=True)
class Reading:
    """One way to read an output, or several outputs together.

    Attributes:
        name: of the output, with words that tell this reading from others.
        outputs: names of the outputs that it is made from.
        scores: number of scores that it makes.
        predictions: makes the predictions.
    """

    name: str
    outputs: tuple[str, ...]
    scores: int
    predictions: Callable[[], Predictions]


@dataclass(frozen=True)
class Found:
    """What is found in outputs.

    Attributes:
        predictions: by the name of the reading.
        made_from: the outputs that each reading is made from, by its name.
        unread: outputs of which a reading was dropped, or some numbers or all fit none.
    """

    predictions: dict[str, Predictions]
    made_from: dict[str, tuple[str, ...]]
    unread: set[str]


def found_in(outputs: Mapping[str, NDArray[Any]], n: int, classes: int) -> Found:
    """Read each classifier-like output.

    Axes after the first are one row of numbers for each input.  Rows of two or more are scores;
    one number is a class, by what stands before its point; of two classes, one number is the score
    of the second one: its probability if all lie in 0..1, else its logit.

    Beside that, an output is read as what else it could be:

    - rows of whole numbers, no two alike, may list classes, the likeliest first: the first of them
      is the class, and their places are scores;
    - of rows that are longer than there are classes, the scores may be a part: the last ones; in
      rows of some times that length each such part, and each number of as many that alternate;
      where few are too many, wherever the scores may begin;
    - outputs that follow each other and have a number for each class together may be the scores.

    Readings beyond :data:`MAX_SCORES` scores, counted from the narrowest, are dropped.  Only the
    first :data:`MAX_OUTPUTS` outputs are read, in at most :data:`MAX_READINGS` readings.

    Args:
        outputs: arrays whose first axis is the n inputs, in the model's order.
        n: number of inputs.
        classes: K of the task.
    """
    tables = {name: _plain_numbers(array.reshape(n, -1)) for name, array in _tables(outputs, n)}
    usual: list[Reading] = []
    others: list[Reading] = []
    for name, table in list(tables.items())[:MAX_OUTPUTS]:
        lists = list(_as_lists(name, table, classes))
        if lists and _is_top_classes(table, classes):
            usual += lists[-1:]
            lists = lists[:-1]
        usual += _as_class_beside(name, table, classes)
        usual += _as_usual(name, table, classes)
        others += [*lists, *_as_fractions(name, table, classes), *_in_part(name, table, classes)]
    others += _side_by_side(tables, classes)
    every = [*usual, *others]
    kept = _affordable(every[:MAX_READINGS], len(usual), max(MAX_SCORES, n * classes))
    read = {output for reading in every for output in reading.outputs} & {
        *list(tables)[:MAX_OUTPUTS]
    }
    dropped = {output for reading in every if reading not in kept for output in reading.outputs}
    named = _named(kept)
    coarse = {name for name, table in tables.items() if _has_coarse_classes(table, classes)}
    return Found(
        {name: reading.predictions() for name, reading in named.items()},
        {name: reading.outputs for name, reading in named.items()},
        (tables.keys() - read) | dropped | coarse,
    )


def _tables(outputs: Mapping[str, NDArray[Any]], n: int) -> list[tuple[str, NDArray[Any]]]:
    """Return the outputs that have numbers for each input."""
    return [
        (name, array)
        for name, array in outputs.items()
        if array.ndim and len(array) == n and array.size and array.dtype.kind in NUMBERS
    ]


def _affordable(wanted: list[Reading], usual: int, most: int) -> list[Reading]:
    """Return the readings; if all have too many scores, the narrowest, the usual ones first."""
    scores = {place: reading.scores for place, reading in enumerate(wanted)}
    kept = narrowest({place: scores[place] for place in scores if place < usual}, most)
    left = most - sum(scores[place] for place in kept)
    kept |= narrowest({place: scores[place] for place in scores if place >= usual}, left)
    return [reading for place, reading in enumerate(wanted) if place in kept]


def _named(kept: list[Reading]) -> dict[str, Reading]:
    """Return readings by names that differ: words for one may be another output's name."""
    found: dict[str, Reading] = {}
    for reading in kept:
        name = reading.name
        while name in found:
            name += "'"
        found[name] = reading
    return found


def _as_usual(name: str, table: NDArray[Any], classes: int) -> Iterator[Reading]:
    if table.shape[1] > 1:
        yield Reading(name, (name,), table.size, lambda: Predictions.from_scores(_scores(table)))
        return
    column = table[:, 0]
    size = len(column) * classes
    if classes == 2:
        yield Reading(
            name, (name,), size, lambda: Predictions.from_scores(_of_both_classes(column))
        )
        if _is_whole(column, at_least=2).any():  # else it says no more than the score
            yield Reading(
                f"{name} as class", (name,), size, lambda: _of_class_numbers(column, classes)
            )
    elif column.dtype.kind != "f" or _is_whole(column).any():
        yield Reading(name, (name,), size, lambda: _of_class_numbers(column, classes))


def _as_class_beside(name: str, table: NDArray[Any], classes: int) -> Iterator[Reading]:
    """Yield the reading of a column of class numbers beside columns of probabilities."""
    if not 1 < table.shape[1] < min(classes, MAX_PARTS):
        return
    with np.errstate(invalid="ignore"):
        probable = ((table >= 0) & (table <= 1)).all(axis=0)
    if (~probable).sum() != 1:
        return
    column = int(probable.argmin())
    numbers = table[:, column]
    if _is_whole(numbers).all():
        size = len(table) * classes
        words = f"{name} column {column} as class"
        yield Reading(words, (name,), size, lambda: _of_class_numbers(numbers, classes))


def _as_fractions(name: str, table: NDArray[Any], classes: int) -> Iterator[Reading]:
    """Yield the reading of one number of which none is a class as it stands."""
    column = table[:, 0]
    if table.shape[1] > 1 or classes == 2 or column.dtype.kind != "f" or _is_whole(column).any():
        return
    if _is_exact(column).any():
        size = len(column) * classes
        yield Reading(name, (name,), size, lambda: _of_class_numbers(column, classes))


def _as_lists(name: str, table: NDArray[Any], classes: int) -> Iterator[Reading]:
    """Yield the readings of an output that may list classes, the likeliest first."""
    if table.shape[1] < 2 or not _may_be_lists(table).any():
        return
    size = len(table) * classes
    yield Reading(
        f"{name} as class", (name,), size, lambda: _of_class_numbers(table[:, 0], classes)
    )
    if ((table >= 0) & (table < classes)).any():
        yield Reading(
            f"{name} as ranking",
            (name,),
            size,
            lambda: Predictions.from_scores(_of_places(table, classes)),
        )


def _in_part(name: str, table: NDArray[Any], classes: int) -> Iterator[Reading]:
    """Yield the readings of as many columns as there are classes; the first are read as it is."""
    width = table.shape[1]
    more, times = width - classes, width // classes
    starts = set(range(more + 1)) if more <= MAX_PARTS else {more}
    if width % classes == 0 and 1 < times <= MAX_PARTS:
        starts |= set(range(0, width, classes))
        for first in range(times):
            yield _part(name, f"each {times} from {first}", table, slice(first, None, times))
    for first in sorted(starts):
        if first > 0:
            yield _part(name, f"from column {first}", table, slice(first, first + classes))


def _part(name: str, words: str, table: NDArray[Any], columns: slice) -> Reading:
    size = table[:, columns].size
    return Reading(
        f"{name} {words}",
        (name,),
        size,
        lambda: Predictions.from_scores(_scores(table)[:, columns]),
    )


def _side_by_side(tables: Mapping[str, NDArray[Any]], classes: int) -> Iterator[Reading]:
    """Yield the readings of outputs in a row which have as many columns as there are classes."""
    names = list(tables)
    for first in range(len(names)):
        width = 0
        for last in range(first, len(names)):
            width += tables[names[last]].shape[1]
            if width >= classes:
                break
        if width == classes and last > first:
            yield _joined({name: tables[name] for name in names[first : last + 1]})


def _joined(tables: Mapping[str, NDArray[Any]]) -> Reading:
    names, parts = tuple(tables), list(tables.values())
    return Reading(
        f"{names[0]} to {names[-1]}",
        names,
        sum(part.size for part in parts),
        lambda: Predictions.from_scores(np.concatenate(list(map(_scores, parts)), axis=1)),
    )


def _plain_numbers(table: NDArray[Any]) -> NDArray[Any]:
    """Return truth values as 0 and 1, half floats as floats, and other numbers as they are."""
    if table.dtype.kind == "b":
        return table.astype(np.uint8)
    return table.astype(np.float32) if table.dtype == np.float16 else table


def _scores(table: NDArray[Any]) -> NDArray[Any]:
    """Return scores that are in their order as float64 too.

    Integers beyond 2**53 are not told apart there; where some are, all of their rows are taken for
    the places of their scores, the lowest being 0.
    """
    if table.dtype.itemsize < 8 or table.dtype.kind == "f" or not _is_beyond(table):
        return table
    order = np.argsort(table, axis=1, kind="stable")
    ascending = np.take_along_axis(table, order, axis=1)
    higher = np.diff(ascending, axis=1, prepend=ascending[:, :1]) != 0
    places = np.empty(table.shape, np.int64)
    np.put_along_axis(places, order, np.cumsum(higher, axis=1), axis=1)
    return places


def _is_beyond(table: NDArray[Any]) -> bool:
    return bool((table > EXACT).any() or (table.dtype.kind == "i" and (table < -EXACT).any()))


def _of_both_classes(second: NDArray[Any]) -> NDArray[np.float64]:
    """Return scores [n, 2] from the one number [n] that a binary classifier gives."""
    values = second.astype(np.float64)
    with np.errstate(invalid="ignore"):
        probable = bool(((values >= 0.0) & (values <= 1.0)).all())
    return np.stack([1.0 - values if probable else -values, values], axis=1)


def _of_class_numbers(column: NDArray[Any], classes: int) -> Predictions:
    """Read [n] numbers by the whole ones that are not above them, so that 7.9 is class 7.

    Who gives a class and its probability as one number has added them.
    """
    if column.dtype.kind != "f":
        return Predictions.from_labels(column, classes)
    exact = _is_exact(column)
    numbers = np.full(len(column), NO_CLASS)
    numbers[exact] = np.floor(column[exact])
    return Predictions.from_labels(numbers, classes)


def _of_places(table: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Return scores [n, K] from lists of classes: the length for the first, 0 for the unlisted."""
    scores = np.zeros((len(table), classes))
    for place in reversed(range(table.shape[1])):  # so that the first place of a class counts
        column = table[:, place]
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(_is_whole(column) & (column < classes))
        scores[rows, column[rows].astype(np.int64)] = table.shape[1] - place
    return scores


def _may_be_lists(table: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of each row whether it may list classes: whole numbers, no two alike.

    Not 0 and 1 alone, which are rather the scores of one class and another.
    """
    found = np.zeros(len(table), np.bool_)
    if table.shape[1] > MAX_LISTED:
        return found
    rows = np.flatnonzero(_is_whole(table[:, 0]))  # hardly any of scores, which are not copied then
    lists = np.sort(table[rows], axis=1)
    found[rows] = (
        _is_whole(lists).all(axis=1)
        & (lists[:, -1] >= 2)
        & (lists[:, 1:] != lists[:, :-1]).all(axis=1)
    )
    return found


def _is_top_classes(table: NDArray[Any], classes: int) -> bool:
    """Say whether lists are all that an output can be: each of fewer classes than there are."""
    return bool(table.shape[1] < classes and (table < classes).all() and _may_be_lists(table).all())


def _is_exact(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of each float whether it is a number that tells whole ones apart."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(column) <= EXACT)


def _has_coarse_classes(table: NDArray[Any], classes: int) -> bool:
    """Say whether some number that may be a class is so large that it tells none."""
    column = table[:, 0]
    may_be = table.shape[1] == 1 and classes > 2 and column.dtype.kind == "f"
    return may_be and not _is_exact(column).all()


def _is_whole(numbers: NDArray[Any], at_least: int = 0) -> NDArray[np.bool_]:
    """Say of each number whether it is whole, not lower than ``at_least``, and exact."""
    with np.errstate(invalid="ignore"):
        found = (numbers >= at_least) & (numbers <= EXACT)
        if numbers.dtype.kind == "f":
            found &= np.floor(numbers) == numbers
    return np.asarray(found)
