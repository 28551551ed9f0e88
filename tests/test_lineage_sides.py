"""Lineage: what the sign test says, and how a suspect takes a side."""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb, log2
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wmx._internal.budget import held_to
from wmx.disputes import lineage
from wmx.disputes.lineage import (
    DISAGREEMENTS,
    INPUTS_EACH,
    NEARER_BITS,
    Reader,
    seed_of,
    sides_taken,
    sign_test_bits,
    trace,
)
from wmx.errors import CannotRunError, LimitError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.suspect.sandbox.limits import Limits
from wmx.suspect.suspect import Suspect

PICTURES = Task.of((9, 12, 3), 5)
TABLE = Task.of((4,), 5, kind="features")
MODEL = ModelReference("model")
NAMES = (hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"other").hexdigest())
WAY = Probe("as it is", "scores")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


@dataclass
class Asked:
    """A model that gives a class by a rule over inputs, and counts what it is asked."""

    rule: Any
    reference: ModelReference = MODEL
    inputs: list[NDArray[Any]] = field(default_factory=list)
    rows: set[int | None] = field(default_factory=set)

    def feedings(self, task: Task) -> list[Any]:
        return [SimpleNamespace(name="as it is")]

    def predictions(
        self,
        feeding: Any,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        self.inputs.append(inputs)
        self.rows.add(rows)
        given = np.array([self.rule(x) for x in inputs])
        read = (
            Predictions.from_scores(given) if given.ndim > 1 else Predictions.from_labels(given, 5)
        )
        return {"scores": read}

    @property
    def count(self) -> int:
        return sum(map(len, self.inputs))


def read(rule: Any, task: Task = PICTURES, probe: Probe = WAY) -> Reader:
    return Reader(cast(Suspect, Asked(rule)), probe, task)


def digest(x: NDArray[Any], salt: bytes = b"") -> int:
    return hashlib.sha256(salt + x.tobytes()).digest()[0]


def one(x: NDArray[Any]) -> int:
    return digest(x, b"1") % 5


def other(x: NDArray[Any]) -> int:
    return digest(x, b"2") % 5


def mostly(part: int, rule: Any, rest: Any) -> Any:
    """Answers as ``rule`` for ``part`` of 256 inputs, else as ``rest``."""
    return lambda x: rule(x) if digest(x) < part else rest(x)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_the_exact_probability_of_both_tails(a: int, b: int) -> None:
    n, most = a + b, max(a, b)
    tail = sum(Fraction(comb(n, k), 2**n) for k in range(n + 1) if max(k, n - k) >= most)
    assert sign_test_bits(a, b) == pytest.approx(-log2(tail), abs=1e-9)
    assert sign_test_bits(a, b) == sign_test_bits(b, a) >= 0


def test_known_probabilities() -> None:
    assert sign_test_bits(21, 0) == 20
    assert sign_test_bits(0, 0) == sign_test_bits(5, 5) == 0
    assert sign_test_bits(DISAGREEMENTS, 0) == DISAGREEMENTS - 1


def test_the_inputs_hang_on_both_originals_and_not_on_their_order() -> None:
    assert seed_of(NAMES) == seed_of(NAMES[::-1])
    assert seed_of(NAMES) != seed_of((NAMES[0], "0" * 64))


def test_a_suspect_is_nearer_to_the_original_it_answers_like() -> None:
    found = trace([read(mostly(132, one, other))], read(one), read(other), [], NAMES)
    assert found.nearer is None  # 132 and 124 of 256: might be chance
    for names in (NAMES, NAMES[::-1]):
        found = trace([read(mostly(190, one, other))], read(one), read(other), [], names)
        assert found.nearer == names[0]
        assert found.bits > NEARER_BITS
        assert found.disagreements == DISAGREEMENTS
        assert sum(found.sides.values()) > DISAGREEMENTS - 4  # the first have nothing before them
        assert found.bits == sign_test_bits(*found.sides.values())
        by_family = [sides[names[0]] for sides in found.families.values()]
        assert sum(by_family) == found.sides[names[0]]
        assert min(by_family) > 0


def test_the_suspect_is_asked_only_where_the_originals_disagree() -> None:
    suspect, first = read(one), read(one)
    found = trace([suspect], first, read(other), [], NAMES)
    asked = cast(Asked, suspect.model)
    assert asked.count == DISAGREEMENTS < found.inputs
    assert all(one(x) != other(x) for x in asked.inputs[0])
    assert cast(Asked, first.model).count == found.inputs


def test_a_suspect_whose_mark_is_read_row_by_row_is_asked_row_by_row() -> None:
    suspect = read(one, probe=Probe("as it is", "scores", rows=1))
    trace([suspect], read(one), read(other), [], NAMES)
    assert cast(Asked, suspect.model).rows == {1}


def test_how_many_inputs_there_are_does_not_hang_on_the_suspect() -> None:
    """Else a suspect could end the test while it is ahead."""
    found = [
        trace([read(rule)], read(one), read(other), [], NAMES)
        for rule in (one, other, lambda x: 4, mostly(128, one, other))
    ]
    assert len({(each.inputs, each.disagreements) for each in found}) == 1


def test_originals_that_hardly_differ_are_too_much_alike() -> None:
    hardly = mostly(230, one, other)
    found = trace([read(one)], read(one), read(hardly), [], NAMES)
    assert found.alike
    assert found.nearer is None
    assert found.inputs == INPUTS_EACH * DISAGREEMENTS
    assert found.bits > NEARER_BITS
    same = trace([read(one)], read(one), read(one), [], NAMES)
    assert same.alike
    assert same.disagreements == 0


def test_of_several_ways_of_reading_the_suspect_the_least_clear_counts() -> None:
    """A file with the answers of both as outputs is nearer to neither."""
    found = trace([read(one), read(other)], read(one), read(other), [], NAMES)
    assert found.nearer is None
    found = trace([read(one), read(mostly(128, one, other))], read(one), read(other), [], NAMES)
    assert found.nearer is None


def test_a_side_is_taken_by_scores_below_the_top_too() -> None:
    """Who changes a model much changes its top classes; what it thinks likelier than what, less."""

    def thinks(x: NDArray[Any]) -> NDArray[Any]:
        scores = np.eye(6)[one(x)] - np.eye(6)[other(x)]
        scores[5] = 7  # a class that neither original names
        return scores

    found = trace([read(thinks)], read(one), read(other), [], NAMES)
    assert found.nearer == NAMES[0]
    assert found.sides[NAMES[0]] > DISAGREEMENTS - 4


def scored(rng: np.random.Generator, n: int = 400) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Scores of five classes, and the two that are in question in each row."""
    return rng.normal(size=(n, 5)), np.stack([rng.permutation(5)[:2] for _ in range(n)]).T


def test_what_a_suspect_leans_to_whatever_it_is_shown_is_no_side(rng: np.random.Generator) -> None:
    scores, tops = scored(rng)
    sides = sides_taken(Predictions.from_scores(scores), tops)
    assert abs(sides[0].mean() - 0.5) < 0.1
    leaning = Predictions.from_scores(scores + np.array([9.0, 0, 0, -9, 40]))
    assert (sides_taken(leaning, tops)[:, 4:] == sides[:, 4:]).mean() > 0.97
    for constant in (np.zeros(5), np.array([9.0, 0, 0, -9, 40])):
        assert not sides_taken(Predictions.from_scores(np.tile(constant, (400, 1))), tops).any()
    assert not sides_taken(Predictions.from_labels(np.full(400, 3), 5), tops).any()


def test_probabilities_take_the_sides_of_their_logits(rng: np.random.Generator) -> None:
    scores, tops = scored(rng)
    whole = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    sides = sides_taken(Predictions.from_scores(scores), tops)
    assert (sides_taken(Predictions.from_scores(whole), tops) == sides).all()
    assert (sides_taken(Predictions.from_scores(whole.round(3)), tops) == sides).mean() > 0.98


def test_a_side_hangs_on_no_later_answer(rng: np.random.Generator) -> None:
    """Else the coins of the sign test would not be independent."""
    scores, tops = scored(rng)
    sides = sides_taken(Predictions.from_scores(scores), tops)
    scores[200:] *= -7
    assert (sides_taken(Predictions.from_scores(scores), tops)[:, :200] == sides[:, :200]).all()


@pytest.mark.parametrize(
    "of", [Predictions.from_scores, lambda s: Predictions.from_labels(s.argmax(1), 5)]
)
def test_sides_of_who_knows_neither_are_coins(of: Any, rng: np.random.Generator) -> None:
    """The sign test's 2^-b comes up no more often than that."""
    drift = rng.normal(size=5) * 3
    bits = []
    for _ in range(1000):
        scores, tops = scored(rng, 60)
        one, other = sides_taken(of(scores + drift), tops).sum(axis=1)
        bits.append(sign_test_bits(int(one), int(other)))
    for b in range(1, 7):
        expected = 1000 * 2.0**-b
        assert sum(bit >= b for bit in bits) <= expected + 4 * np.sqrt(expected)


def test_a_class_without_a_score_is_no_side() -> None:
    few = trace([read(lambda x: np.array([0.0, 1.0]))], read(one), read(other), [], NAMES)
    assert sum(few.sides.values()) < DISAGREEMENTS


def test_a_class_number_beyond_the_scores_is_a_side() -> None:
    found = trace([read(lambda x: 17)], read(lambda x: 17), read(lambda x: 3), [], NAMES)
    assert found.nearer == NAMES[0]


def test_a_suspect_that_answers_something_else_takes_no_side() -> None:
    found = trace([read(lambda x: 17)], read(one), read(other), [], NAMES)
    assert set(found.sides.values()) == {0}
    assert found.nearer is None
    silent = trace([read(lambda x: -1)], read(one), read(lambda x: -1), [], NAMES)
    assert silent.disagreements == 0


def test_what_cannot_be_asked_is_said() -> None:
    def refuses(x: Any) -> int:
        raise CannotRunError("no such input")

    for readers in (([read(refuses)], read(one)), ([read(one)], read(refuses))):
        with pytest.raises(CannotRunError, match="no such input"):
            trace(*readers, read(other), [], NAMES)
    with pytest.raises(CannotRunError, match="no longer answers"):
        trace([read(one)], read(one, probe=Probe("another", "y")), read(other), [], NAMES)
    apart = trace([read(one)], read(one), read(other, TABLE), [], NAMES)
    assert "different inputs" in str(apart.failure)


def test_an_input_that_comes_again_counts_once() -> None:
    """Else few inputs would seem to be many coins."""
    dot = Task.of((1, 1, 1), 5)
    found = trace(
        [read(lambda x: 1, dot)], read(lambda x: 1, dot), read(lambda x: 2, dot), [], NAMES
    )
    assert found.inputs == INPUTS_EACH * DISAGREEMENTS
    assert found.disagreements == 256
    assert found.alike
    assert found.nearer is None


def test_large_inputs_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of them are kept than fit the memory; where that is too few, nothing is decided."""
    monkeypatch.setattr(lineage, "KEPT_BYTES", 20 * int(np.prod(PICTURES.shape)))
    found = trace([read(one)], read(one), read(other), [], NAMES)
    assert found.disagreements == 20
    assert 10 < found.bits <= 19
    assert found.nearer is None


def test_sides_of_wide_answers_are_taken_in_blocks_and_within_the_limits(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, tops = scored(rng)
    sides = sides_taken(Predictions.from_scores(scores), tops)
    monkeypatch.setattr(lineage, "BLOCK_SCORES", 35)  # seven rows
    assert (sides_taken(Predictions.from_scores(scores), tops) == sides).all()
    budget = Limits(seconds=60, memory_bytes=2**20).budget()
    wide = Predictions.from_scores(np.zeros((2, 2**21)))
    with held_to(budget), pytest.raises(LimitError, match="sides"):
        sides_taken(wide, tops[:, :2])
