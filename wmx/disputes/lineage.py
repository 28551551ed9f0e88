"""Lineage: to which of two originals is a suspect nearer? (docs/disputes.md)

Both originals are queried with the same inputs, drawn from a public hash of the two.  Where their
top classes differ, the suspect sides with the class that it finds more likely than it usually does.
If it were as near to one as to the other, its sides would fall like coins: the sign test (Dixon and
Mood, JASA 41, 1946) gives the exact probability of so many on one side.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb, log2
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import consult, require_room_for_floats
from wmx.disputes.lineage_inputs import Scope, draw, family_names
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.statistics.experts import BLOCK_SCORES, COPIES_OF_SCORES
from wmx.statistics.normalization import Standardizer
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.suspect.suspect import Suspect

DOMAIN = b"wmx lineage 1"
NEARER_BITS = 20.0  # the probability of the sign test has to be 2**-20 or less
DISAGREEMENTS = 2048
INPUTS_EACH = 4  # originals that agree on more than 3 of 4 inputs are too much alike
CHUNK_BYTES = 2**24
KEPT_BYTES = 2**28  # of all inputs on which originals disagree
Tops: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Reader:
    """A model, and the probe by which it is fed and read: that of a mark in it.

    Attributes:
        model: opened.
        probe: its layout, output, scaling and rows are used, and its shift is not.
        task: of the claim whose mark the probe reads.
    """

    model: Suspect
    probe: Probe
    task: Task

    def predictions(self, inputs: NDArray[Any]) -> Predictions:
        """Return the predictions of the model for canonical inputs [n, *shape].

        Raises:
            CannotRunError: the model cannot be run with this probe.
        """
        for feeding in self.model.feedings(self.task):
            if feeding.name == self.probe.layout:
                scaling = self.probe.scaling or None
                rows = self.probe.rows or None
                predictions = self.model.predictions(feeding, inputs, self.task, scaling, rows)
                if self.probe.output in predictions:
                    return predictions[self.probe.output]
        raise CannotRunError(f"{self.model.reference.name} no longer answers as {self.probe.name}")


@dataclass(frozen=True)
class Lineage:
    """The result of a lineage test.

    Attributes:
        inputs: number of inputs that both originals were queried with.
        disagreements: on how many of them their top classes differ.
        sides: on how many of those the suspect sides with each original, by its
            :attr:`~wmx.protocol.model_reference.ModelReference.identity`; for the probe of the
            suspect with the least clear result.  Equal scores are no side.
        families: the same for each family of inputs.
        bits: -log2 of the sign test's probability.
        nearer: identity of the original that the suspect is nearer to; ``None`` if undecided.
        alike: whether the originals agree too often for a test.
        failure: why the test failed; the rest is then empty.
    """

    inputs: int = 0
    disagreements: int = 0
    sides: Mapping[str, int] = field(default_factory=dict)
    families: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    bits: float = 0.0
    nearer: str | None = None
    alike: bool = False
    failure: str | None = None


def seed_of(originals: Sequence[str]) -> bytes:
    """Return the seed of the inputs: SHA-256 over both identities, the smaller one first."""
    return hashlib.sha256(DOMAIN + b"".join(map(bytes.fromhex, sorted(originals)))).digest()


def sign_test_bits(one: int, other: int) -> float:
    """Return -log2 P(max(X, n - X) >= max(one, other)) for X ~ Binomial(n = one + other, 1/2).

    The exact probability of both tails, at most 1.

    Args:
        one: times that the suspect sided with one original.
        other: times that it sided with the other.
    """
    n, most = one + other, max(one, other)
    tail = sum(comb(n, k) for k in range(most, n + 1))
    return max(0.0, n - 1 - log2(tail))


def trace(
    suspect: Sequence[Reader],
    first: Reader,
    second: Reader,
    known: Sequence[NDArray[Any]],
    names: tuple[str, str],
) -> Lineage:
    """Query both originals, and the suspect on the inputs on which they disagree.

    How many inputs are drawn depends only on the originals: no prediction of the suspect ends the
    test, so that its probability is exact.  No input is used twice.

    Args:
        suspect: the suspect, with each probe that reads a mark; the least clear result counts.
        first, second: the originals.
        known: triggers of both parties, [n, *shape] each; features and tokens are drawn from the
            range of their values.
        names: identities of ``first`` and ``second``.

    Raises:
        CannotRunError: a model fails, or no longer answers by its probe.
    """
    task = first.task
    if len({(one.task.kind, one.task.shape) for one in (*suspect, first, second)}) > 1:
        return Lineage(failure="the claims are for models of different inputs")
    scope = Scope.of((first.task, second.task), known)
    wanted = min(DISAGREEMENTS, KEPT_BYTES // _bytes_each(task))
    inputs = 0
    kept: list[NDArray[Any]] = []
    seen: set[bytes] = set()
    tops_of_both = np.empty((2, 0), np.int64)
    families = np.empty(0, np.int64)
    for start, drawn in _drawn(seed_of(names), wanted, scope):
        tops = np.stack([one.predictions(drawn).top for one in (first, second)])
        differ = (tops[0] != tops[1]) & (tops >= 0).all(axis=0)
        new = [row for row in np.flatnonzero(differ) if _is_new(drawn[row], seen)]
        rows = np.array(new[: wanted - len(families)], dtype=np.int64)
        kept.append(drawn[rows])
        tops_of_both = np.concatenate([tops_of_both, tops[:, rows]], axis=1)
        families = np.concatenate([families, (start + rows) % len(family_names(task))])
        inputs = start + len(drawn)
        if len(families) == wanted:
            break
    if not len(families):
        return Lineage(inputs, alike=True)
    asked = np.concatenate(kept)
    found = [sides_taken(one.predictions(asked), tops_of_both) for one in suspect]
    counts = [sides.sum(axis=1) for sides in found]
    clearness = [sign_test_bits(*map(int, count)) for count in counts]
    least = clearness.index(min(clearness))
    alike = len(families) < wanted
    decided = clearness[least] >= NEARER_BITS and not alike
    nearer = {names[count.argmax()] for count in counts}
    return Lineage(
        inputs=inputs,
        disagreements=len(families),
        sides=_by_name(counts[least], names),
        families={
            name: _by_name(found[least][:, families == number].sum(axis=1), names)
            for number, name in enumerate(family_names(task))
        },
        bits=clearness[least],
        nearer=nearer.pop() if decided and len(nearer) == 1 else None,
        alike=alike,
    )


def sides_taken(predictions: Predictions, tops: Tops) -> NDArray[np.bool_]:
    """Return whether each prediction sides with the first or second original, bool [2, n].

    Scores are standardized by what each class has had so far, since further training shifts a model
    to some classes on all inputs.  A side depends only on its own prediction and on earlier ones,
    so that of two equally likely sides each is a fair coin, whatever came before.  Equal scores are
    no side; class numbers without scores side with the class that they name.

    Args:
        predictions: of the suspect for n inputs.
        tops: top class of each original for the same inputs, int64 [2, n].

    Raises:
        LimitError: the work takes more time or memory than its limit.
    """
    known = np.logical_and(*(tops < predictions.columns))
    shown = np.where(known, tops, 0)
    standardizer = Standardizer(predictions.columns)
    sides = np.zeros((2, len(predictions)), np.bool_)
    block = max(1, BLOCK_SCORES // predictions.columns)
    for start in range(0, len(predictions), block):
        part = slice(start, start + block)
        consult()
        require_room_for_floats(COPIES_OF_SCORES * predictions[part].size, "the sides of a suspect")
        scores = predictions[part].scores
        rows = np.arange(len(scores))
        named: NDArray[np.bool_] = predictions.top[part] == tops[:, part]
        given: NDArray[Any] = np.where(known[part], scores[rows, shown[:, part]], named)
        scaled = standardizer.update(scores)[rows, shown[:, part]]
        units: NDArray[Any] = np.where(known[part], scaled, given)
        units[:, given[0] == given[1]] = 0.0
        sides[:, part] = units[0] > units[1], units[1] > units[0]
    return sides


def _drawn(seed: bytes, wanted: int, scope: Scope) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield all inputs in chunks, each with the index of its first input."""
    rows = max(1, min(256, CHUNK_BYTES // _bytes_each(scope.task)))
    most = INPUTS_EACH * wanted
    for start in range(0, most, rows):
        yield start, draw(seed, start, min(rows, most - start), scope)


def _is_new(drawn: NDArray[Any], seen: set[bytes]) -> bool:
    """Say whether an input is new, and remember it: small inputs may be drawn twice."""
    digest = hashlib.sha256(drawn.tobytes()).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True


def _bytes_each(task: Task) -> int:
    return int(np.prod(task.shape)) * (1 if task.kind == "image" else 4)


def _by_name(counts: NDArray[np.int64], names: tuple[str, str]) -> dict[str, int]:
    return dict(zip(names, map(int, counts), strict=True))
