"""Asking a suspect: it may remember what it was asked, and answer without end; neither helps it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Self

import numpy as np
import pytest
from fixed import OWNER, fixed_watermark

from wmx import Watermark
from wmx.answers import Answers
from wmx.asking import MOST_IN_ROWS, PROBE, TESTED, Asking
from wmx.asking_in_turn import AskingInTurn
from wmx.settled import NOTHING_SETTLED
from wmx.suspect import Predict
from wmx.suspect.feeding import Feeding
from wmx.suspect.function import FunctionSuspect
from wmx.suspect.layouts import Layout
from wmx.suspect.reading import MAX_SCORES, readings
from wmx.task import Task
from wmx.triggers import Features
from wmx.verdict import judge, measure
from wmx.ways import ALONE, OTHER_ROWS, SHIFTS, TOGETHER, Way
from wmx.window import Window

TASK = Task.of((8, 8, 1), 10)
MOST_BITS_OF_CHANCE = 20  # chance exceeds them once in 2^20


class Listener:
    """Knows no label, and listens to which of its outputs is asked to go on.

    It halves the classes that the next trigger can have with each shift that it is asked, by an
    output for each class left; in the last two shifts it says what it has learned.
    """

    name, sha256, engine, settled = "listener", None, "memory", NOTHING_SETTLED

    def __init__(self) -> None:
        self.external: dict[str, str] = {}
        self.known: dict[int, int] = {}
        self._guesses: list[int] = []
        self._left = list(range(10))
        self._probes = 0

    def feedings(self, task: Task) -> list[Feeding]:
        layouts = [
            Layout("NCHW", (1, 28, 28), (1, 28, 28)),
            Layout("NHWC", (28, 28, 1), (28, 28, 1)),
        ]
        return [Feeding("x", layout, np.dtype(np.float32), None) for layout in layouts]

    def answers(
        self,
        feeding: Feeding,
        inputs: np.ndarray,
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Answers]:
        said = np.full((8, len(inputs)), -1)
        if len(inputs) == 100 - PROBE:
            self._hear(True)
        elif len(inputs) == PROBE:
            self._hear(False)
            self._probes += 1
            if self._probes > 2 * len(SHIFTS) - 2:
                for trigger, label in self.known.items():
                    said[:, trigger] = label
            else:
                self._guesses = self._left[: len(self._left) // 2]
                for row, label in enumerate(self._guesses):
                    said[row, len(self.known)] = label
        return {f"y{row}": Answers.from_labels(given, 10) for row, given in enumerate(said)}

    queries_left: int | None = None

    def reopened(self) -> Self:
        return self

    def close(self) -> None:
        pass

    def _hear(self, yes: bool) -> None:
        if not self._guesses:
            return
        self._left = [label for label in self._left if (label in self._guesses) == yes]
        self._guesses = []
        if len(self._left) == 1:
            self.known[len(self.known)] = self._left[0]
            self._left = list(range(10))


@pytest.mark.parametrize("number", range(5))
def test_a_suspect_that_remembers_learns_nothing_from_being_asked(number: int) -> None:
    watermark = Watermark.for_task(OWNER, TASK, salt=number.to_bytes(32, "big"))
    assert judge(Listener(), watermark).bits < MOST_BITS_OF_CHANCE


def test_all_shifts_of_the_first_triggers_are_asked_for_before_any_goes_on() -> None:
    watermark = fixed_watermark(TASK)
    sizes: list[int] = []

    def right_at_first(inputs: np.ndarray) -> np.ndarray:
        sizes.append(len(inputs))
        labels = watermark.labels[:PROBE] if len(inputs) == PROBE else [0] * len(inputs)
        return np.eye(10)[labels]

    asking = Asking(FunctionSuspect(right_at_first), watermark.window())
    asking.as_they_are()
    asking.moved()
    assert sizes == [100, *[PROBE] * len(SHIFTS), *[100 - PROBE] * len(SHIFTS)]
    assert {len(given) for given in asking.betting.answers.values()} == {100}


def wide_outputs() -> Iterator[tuple[str, np.ndarray]]:
    yield "wide", np.zeros((100, MAX_SCORES // 100 - 10), np.float16)
    yield "scores", np.zeros((100, 10), np.float16)
    yield "wider", np.zeros((100, MAX_SCORES // 100 + 1), np.float16)


def test_scores_without_end_are_left_out_and_narrow_ones_are_not_pushed_out() -> None:
    assert list(readings(dict(wide_outputs()), 100, 10)) == ["wide", "scores"]
    assert list(readings(dict(reversed(list(wide_outputs()))), 100, 10)) == ["scores", "wide"]


@pytest.mark.parametrize(("columns", "calls"), [(9, 1), (10, 1 + 2 * len(SHIFTS))])
def test_shifts_of_answers_without_end_are_not_asked_for(
    columns: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmx.asking.MAX_SHIFTED_SCORES", 100 * columns * len(SHIFTS))
    watermark = fixed_watermark(TASK)
    asked: list[int] = []

    def wide(inputs: np.ndarray) -> np.ndarray:
        asked.append(len(inputs))
        return np.eye(10)[watermark.labels[: len(inputs)]]

    asking = Asking(FunctionSuspect(wide), watermark.window())
    asking.as_they_are()
    asking.moved()
    assert len(asked) == calls


# Rows that are given together, or alone.


def by_rows(seed: int, classes: int, wants: Callable[[int], bool]) -> Predict:
    """A suspect whose scores hang on the input, and in calls of some sizes on the size too."""

    def scores(inputs: np.ndarray) -> np.ndarray:
        company = len(inputs) if wants(len(inputs)) else 0
        weights = np.random.default_rng([seed, company]).normal(size=(inputs[0].size, classes))
        return inputs.reshape(len(inputs), -1) @ weights

    return scores


def rounds(asking: Asking | AskingInTurn) -> None:
    for ask in asking.rounds():
        ask()


@pytest.mark.parametrize("in_turn", [False, True])
def test_who_does_not_look_at_the_batch_is_asked_in_one_number_of_rows(in_turn: bool) -> None:
    window = fixed_watermark(TASK).window()
    calls: list[int] = []
    scores = by_rows(1, 10, lambda rows: False)

    def counted(inputs: np.ndarray) -> np.ndarray:
        calls.append(len(inputs))
        return scores(inputs)

    suspect = FunctionSuspect(counted)
    asking = AskingInTurn(suspect, window, lambda _: False) if in_turn else Asking(suspect, window)
    asking.as_they_are()
    once = ALONE if in_turn else TOGETHER
    assert calls == ([1] * 100 if in_turn else [100])
    del calls[:]
    if isinstance(asking, Asking):
        asking.one_at_a_time()
        assert calls == [1] * TESTED
        del calls[:]
    asking.in_other_batches()
    assert calls == (list(OTHER_ROWS) if in_turn else [2] * 8 + [4] * 4 + [8] * 2 + [16, 32, 64])
    ways = asking.betting.ways
    assert ways == [Way("channels last", "result", rows=once)] + (
        [] if in_turn else [Way("channels last", "result", rows=ALONE)]
    )
    assert asking.betting.tried == 1


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        (lambda rows: rows > 1, {ALONE, TOGETHER, *OTHER_ROWS}),
        (lambda rows: rows == 1, {ALONE, TOGETHER}),
        (lambda rows: rows == 8, {ALONE, TOGETHER, 8}),
        (lambda rows: rows > 8, {ALONE, TOGETHER, 16, 32, 64}),
    ],
)
def test_rows_are_more_probes_where_they_make_a_difference(
    wants: Callable[[int], bool], expected: set[int], in_turn: bool
) -> None:
    """What is the same as something known is not asked; in turn, nothing is asked all at once."""
    window = fixed_watermark(TASK).window()
    suspect = FunctionSuspect(by_rows(1, 10, wants))
    asking = AskingInTurn(suspect, window, lambda _: False) if in_turn else Asking(suspect, window)
    asking.as_they_are()
    if isinstance(asking, Asking):
        asking.one_at_a_time()
    asking.in_other_batches()
    found = {way.rows for way in asking.betting.ways}
    if in_turn:
        expected = {rows for rows in expected if rows != TOGETHER}
        if not wants(2) and wants(1):
            expected |= {*OTHER_ROWS}
    assert found == expected
    if len(found) > 3:
        return  # many ways, and nothing else to see
    asking.moved()
    for rows in found:
        others = [way for way in asking.betting.ways if way.rows == rows and not way.is_plain]
        assert len(others) == len(SHIFTS)


def test_which_triggers_are_tried_singly_hangs_on_the_files_and_not_on_labels() -> None:
    def tried(suspect: FunctionSuspect, window: Window) -> list[bytes]:
        seen: list[bytes] = []

        def noted(inputs: np.ndarray) -> np.ndarray:
            if len(inputs) == 1:
                seen.append(inputs.tobytes())
            return np.zeros((len(inputs), 10))

        other = FunctionSuspect(noted)
        other.sha256, other.external = suspect.sha256, suspect.external
        asking = Asking(other, window)
        asking.as_they_are()
        asking.one_at_a_time()
        return seen

    window = fixed_watermark(TASK).window()
    suspect = FunctionSuspect(lambda inputs: np.zeros(len(inputs)))
    first = tried(suspect, window)
    assert len(set(first)) == TESTED
    assert tried(suspect, replace(window, labels=(window.labels + 1) % 10)) == first
    suspect.sha256 = "ab" * 32
    second = tried(suspect, window)
    suspect.external = {"weights.bin": "cd" * 32}
    third = tried(suspect, window)
    assert len({tuple(first), tuple(second), tuple(third)}) == 3


def test_at_most_so_many_triggers_are_given_singly() -> None:
    watermark = Watermark.for_task(OWNER, TASK, n=MOST_IN_ROWS + 100, salt=bytes(32))
    calls: list[int] = []

    def differs(inputs: np.ndarray) -> np.ndarray:
        calls.append(len(inputs))
        return np.eye(10)[[len(inputs) % 10] * len(inputs)] + np.arange(10) * 0.01

    asking = Asking(FunctionSuspect(differs), watermark.window())
    asking.as_they_are()
    asking.one_at_a_time()
    assert calls.count(1) == TESTED + MOST_IN_ROWS
    assert asking.asked == len(watermark.labels)


def test_junk_beside_others_is_seen_though_the_scale_is_made_large() -> None:
    """A common offset, a huge column beyond the classes and rows beyond squaring hide nothing."""
    window = fixed_watermark(TASK).window()
    for disguise in (
        lambda scores: scores + 1e9,
        lambda scores: np.pad(scores, ((0, 0), (0, 1)), constant_values=1e9),
        lambda scores: scores * 1e200,
        lambda scores: np.where(np.arange(10) < 9, scores * 1e-30, 0.0),
    ):
        plain = by_rows(1, 10, lambda rows: rows > 1)
        asking = Asking(FunctionSuspect(lambda x, f=plain, g=disguise: g(f(x))), window)
        asking.as_they_are()
        asking.one_at_a_time()
        assert asking.betting.tried == len(asking.betting.ways)  # none is taken for another


@pytest.mark.parametrize("starts", [1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_chance_is_not_exceeded_by_a_suspect_that_looks_at_its_batch(
    seed: int, starts: int
) -> None:
    """Exact, over every sequence of labels, with all that is asked only where it is needed."""
    n, classes = 5, 3
    task = Task.of((16,), classes, kind="features")
    family = Features.of(np.sort(np.random.default_rng(0).normal(size=(16, 16)), axis=1).round(3))
    watermark = Watermark.for_task(OWNER, task, n=n, generator=family, salt=bytes(32))
    window = watermark.window()
    suspect = FunctionSuspect(by_rows(seed, classes, lambda rows: rows % 2 == 1))
    for required in (0.5, 1.5):
        verified = [
            measure(
                suspect,
                replace(window, labels=np.array(labels)),
                required=required,
                starts=starts,
            ).verified
            for labels in product(range(classes), repeat=n)
        ]
        assert np.mean(verified) <= 2.0**-required
