"""Model outputs as tables with one row per input, whatever the order of their axes.

An output must stay readable when a thief rearranges it: a transposition, a reshaping or another
axis is one node.  So every axis that is as long as the number of inputs is read as the batch axis,
and so is the order in memory, for outputs that were flattened.  If more rows come back than inputs
were given, as after a padding or a repetition, the first and the last rows are read: a caller with
one input reads ``out[0]``.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx._internal.narrowest import narrowest
from wmx.suspect.values import NOTHING, Value

MAX_NUMBERS = (
    2**24
)  # of all outputs for all inputs; more than a classifier has, and a bound on memory
Form: TypeAlias = tuple[tuple[int | None, ...], ...]
MAX_COLUMNS = 2**15  # of a table that was not [N, C] from the start


def may_be_a_table(value: NDArray[Any], rows: int) -> bool:
    """Return whether an output can be read as a table with one row per input.

    Args:
        value: the output.
        rows: number of inputs in the call.
    """
    return _is_shared_out(value, rows) or _has_rows_beside(value, rows)


def tables(value: NDArray[Any], rows: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield an output as tables [rows, C], each with words for how it was read, likeliest first.

    The words are ``""`` for the order in memory, which is the usual one with the batch axis first.

    Args:
        value: the output.
        rows: number of inputs in the call.
    """
    if _is_shared_out(value, rows):
        yield from _of_all_numbers(value, rows)
    if _has_rows_beside(value, rows):
        yield " first rows", value[:rows].reshape(rows, -1)
        yield " last rows", value[-rows:].reshape(rows, -1)


def _of_all_numbers(value: NDArray[Any], rows: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the tables in which every number of an output belongs to one of the inputs."""
    usual = value.reshape(rows, -1)
    if rows > 1 and value.size == max(value.shape) > rows:  # flattened: in which order?
        yield "", usual
        yield " the other way round", value.reshape(-1, rows).T
        return
    along = [
        (f" along axis {axis}", np.moveaxis(value, axis, 0).reshape(rows, -1))
        for axis, length in enumerate(value.shape)
        # behind axes of length 1 alone it is the order in memory
        if length == rows and rows > 1 and max(value.shape[:axis], default=1) > 1
    ]
    if along and len(value) != rows:
        yield from along
        yield "", usual
    else:
        yield "", usual
        yield from along


class Joined:
    """Joins the tables of several calls.

    Attributes:
        unread: names of the outputs of which something was left out that may be answers: ``None``
            or a list with ``None`` in it, tables that are too wide or change their width, tables
            that not every call had, rows between the first and the last or that differ for copies
            of one input, any other numbers that are no table, if there are as many as inputs, and
            outputs whose parts or axes change from call to call, which can tell a class too.
        partial: sizes and digests, in all calls, of outputs that may answer some inputs: with fewer
            numbers than inputs, or with no axis for them; by the output and its part.  The digest
            is empty where those of a call are too few together to answer half of its inputs, but
            not of a single whole number, which may be the class of them all.
    """

    def __init__(self, n: int, classes: int) -> None:
        """Prepare for the outputs of several calls.

        Args:
            n: number of inputs in all calls.
            classes: number of classes, K.
        """
        self.unread: set[str] = set()
        self.partial: dict[tuple[str, str], set[tuple[int, bytes]]] = {}
        self._n, self._classes = n, classes
        self._most = max(MAX_NUMBERS, n * classes)
        self._parts: dict[tuple[str, str], list[NDArray[Any]]] | None = None
        self._first = (0, False)  # call: its rows, and whether one input fills them
        self._outputs: dict[str, str] = {}  # by the names of their parts
        self._forms: dict[int, dict[str, Form]] = {}  # of each output, by the rows of a call

    def add(self, outputs: Iterable[tuple[str, Value]], rows: int, wanted: int) -> None:
        """Add the outputs of a call.

        Args:
            outputs: by name, in the model's order; a list is read part by part, and ``None`` is
                what could not be read.
            rows: number of inputs of the call.
            wanted: how many of them count, the first ones; the others filled up the batch.
        """
        given = dict(outputs)
        forms = {output: _form(value, rows) for output, value in given.items()}
        known_forms = self._forms.setdefault(rows, forms)
        self.unread |= {output for output in forms if forms[output] != known_forms.get(output)}
        values = dict(self._named(given))
        found = {
            (name, words): table[:wanted]
            for name, value in values.items()
            if value is not None
            for words, table in _of_call(value, rows, wanted, self._classes)
        }
        if self._parts is None:
            self._parts = {key: [] for key in self._affordable(found)}
            self._first = (rows, wanted == 1)
        # whether another axis is as long as there are inputs may depend on how many there are
        is_alike = self._first == (rows, wanted == 1)
        lost = {name for name, _ in found.keys() ^ self._parts.keys() if is_alike}
        known = {name for name, _ in self._parts}
        for key, parts in list(self._parts.items()):
            table = found.get(key)
            if table is None or (parts and table.shape[1:] != parts[0].shape[1:]):
                del self._parts[key]
                lost |= {key[0]} if table is not None else set()
            else:
                parts.append(table.copy())  # so that the message with it can be freed
        kept = {name for name, _ in self._parts}
        present = {name: value for name, value in values.items() if value is not None}
        lost |= (known - kept) | (values.keys() - present.keys())
        lost |= {name for name, value in present.items() if _has_middle(value, rows)}
        lost |= self._left_beside(present, kept, rows, wanted)
        self.unread |= {self._outputs[name] for name in lost}

    def _left_beside(
        self, present: Mapping[str, NDArray[Any]], kept: set[str], rows: int, wanted: int
    ) -> set[str]:
        """Return which outputs hold more than what is kept of them, and note the partial ones."""
        beside = {name: value for name, value in present.items() if name not in kept}
        lost = {name for name, value in beside.items() if 0 < rows <= value.size}
        lost |= {name for name in present.keys() & kept if _differ(present[name], rows, wanted)}
        few = {name: beside[name] for name in beside.keys() - lost}
        many = 2 * sum(value.size for value in few.values()) > wanted
        for name, value in few.items():
            self._note(name, value, many or _is_class(value, rows))
        for name in present.keys() & kept:
            if _is_cut_up(present[name], rows, self._classes):
                self._note(name, present[name], may_answer=True)
        return lost

    def _note(self, name: str, value: NDArray[Any], may_answer: bool) -> None:
        digest = hashlib.sha256(value.tobytes()).digest() if may_answer else b""
        self.partial.setdefault((self._outputs[name], name), set()).add((value.size, digest))

    def tables(self) -> dict[str, NDArray[Any]]:
        """Return the tables that every call had, [n, C], by the output's name and the words.

        The first table of each output comes before the second of any: where only some are read, an
        output with many hides no other.
        """
        parts = self._parts or {}
        return {text: np.concatenate(parts[key]) for text, key in self._texts().items()}

    def outputs(self) -> dict[str, str]:
        """Return the output that each of :meth:`tables` is of, by the table's name."""
        return {text: self._outputs[name] for text, (name, _) in self._texts().items()}

    def _texts(self) -> dict[str, tuple[str, str]]:
        """Return a name for each table, in order, with the part and the words that it is of."""
        parts = self._parts or {}
        found: dict[str, tuple[str, str]] = {}
        seen: Counter[str] = Counter()
        places = {}
        for name, words in parts:
            places[name, words] = seen[name]
            seen[name] += 1
        for name, words in sorted(parts, key=lambda key: places[key]):
            text = f"{name}{words}"
            while text in found or (words and (text, "") in parts):  # another output's name
                text += "'"
            found[text] = name, words
        return found

    def _named(self, outputs: Mapping[str, Value]) -> Iterator[tuple[str, NDArray[Any] | None]]:
        """Yield outputs by name; a list's parts one by one, under names that no output has.

        The first part has the output's own: which outputs are texts that begin with a number may
        change from call to call, and a reading goes on where it has its name.
        """
        for output, value in outputs.items():
            for place, part in enumerate(value if isinstance(value, list) else [value]):
                name = f"{output}[{place}]" if place else output
                while place and name in outputs:
                    name += "'"
                self._outputs[name] = output
                yield name, NOTHING if part is not None and not part.size else part

    def _affordable(self, found: dict[tuple[str, str], NDArray[Any]]) -> list[tuple[str, str]]:
        """Return the narrowest tables, which fit the memory over all calls."""
        columns = {key: table.shape[1] for key, table in found.items()}
        kept = narrowest(columns, self._most // self._n)
        return [key for key in found if key in kept]


def _form(value: Value, rows: int) -> Form:
    """Return the axes of each part of an output; ``None`` for those as long as there are inputs."""
    parts = value if isinstance(value, list) else [value]
    return tuple(
        () if part is None else tuple(None if length == rows else length for length in part.shape)
        for part in parts
    )


def _of_call(
    value: NDArray[Any], rows: int, wanted: int, classes: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the tables of an output, and the row of one input that fills a batch by itself.

    Each of fewer rows, as of means over some views of an input, is then that input's; and all that
    the output holds, unless a row has a number for each class.

    Args:
        value: the output.
        rows: number of inputs in the call.
        wanted: how many of them count.
        classes: K of the task.
    """
    yield from tables(value, rows)
    if wanted > 1 or rows == 1 or value.shape[:1] == (rows,) or not value.size:
        return
    few = _has_fewer_rows(value, rows)
    if few and _is_row(value[:1]):
        yield " of fewer rows", value[:1].reshape(1, -1)
    width = value[:1].size if few else 0
    if (not few or width == 1 < value.size or width < classes <= value.size) and _is_row(value):
        yield " as one row", value.reshape(1, -1)


def _has_fewer_rows(value: NDArray[Any], rows: int) -> bool:
    """Say whether an output may have a row for every so many inputs."""
    return value.ndim > 0 and 0 < len(value) < rows and rows % len(value) == 0


def _is_row(value: NDArray[Any]) -> bool:
    """Say whether a value can be the row of one input; a single float is rather a mean."""
    if not value.ndim:
        return value.dtype.kind in "iu"
    return max(value.shape) == value.size or value.size <= MAX_COLUMNS


def _differ(value: NDArray[Any], rows: int, wanted: int) -> bool:
    """Say whether fewer rows differ, though one input fills the batch: only the first is read."""
    if wanted > 1 or rows == 1 or not _has_fewer_rows(value, rows):
        return False
    return bool((value != value[:1]).any()) and value[:1].size > 1


def _is_cut_up(value: NDArray[Any], rows: int, classes: int) -> bool:
    """Say whether an output is shared out among inputs though none of its axes has that length.

    So is one with a row for every few inputs, such as the mean over views of one, or with blocks of
    as many rows, and then no table need have what it says.  On a single axis these are all numbers
    that are not as many for each input as there are classes, or some times as many.
    """
    if not value.ndim or rows == 1 or rows in value.shape:
        return False
    if value.ndim == 1:
        return value.size % rows == 0 and value.size // rows % classes > 0
    # of twice as many rows the first and the last are read
    return len(value) != 2 * rows and _is_shared_out(value, rows)


def _is_class(value: NDArray[Any], rows: int) -> bool:
    """Say whether a call of several rows gives one whole number, which is not that of its rows."""
    return value.size == 1 and value.dtype.kind in "biu" and rows > 1 and value.item() != rows


def _has_middle(value: NDArray[Any], rows: int) -> bool:
    """Say whether an output has rows that are in none of its tables."""
    return (
        _has_rows_beside(value, rows) and not _is_shared_out(value, rows) and len(value) > 2 * rows
    )


def _is_shared_out(value: NDArray[Any], rows: int) -> bool:
    """Say whether an output has the same count of numbers for each of ``rows`` inputs.

    A single integer is the class of one input; a single float is rather a mean, such as a loss.
    """
    if not value.ndim:
        return rows == 1 and value.dtype.kind in "iu"
    if not value.size or not rows or value.size % rows:
        return False
    if rows == 1 and value.ndim > 1 and 1 not in value.shape:  # answers to other inputs
        return False
    return _is_plain(value, rows) or value.size // rows <= MAX_COLUMNS


def _has_rows_beside(value: NDArray[Any], rows: int) -> bool:
    """Say whether an output has rows, and more of them than there are inputs.

    One axis alone holds the numbers of a single input, and no rows.
    """
    fewest_axes = 2 if rows == 1 else 1
    if value.ndim < fewest_axes or not value.size or not 0 < rows < len(value):
        return False
    return _is_plain(value[:rows], rows) or value[0].size <= MAX_COLUMNS


def _is_plain(value: NDArray[Any], rows: int) -> bool:
    """Say whether a value is [N, C] or [N], but for axes of length 1."""
    return len(value) == rows and sum(dim > 1 for dim in value.shape[1:]) <= 1
