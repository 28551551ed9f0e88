"""Asking a suspect: it may remember what it was asked, and answer without end; neither helps it."""

from collections.abc import Iterator

import numpy as np
import pytest
from fixed import OWNER, fixed_watermark

from wmx import Watermark
from wmx.answers import Answers
from wmx.asking import PROBE, plain_answers, shifted_answers
from wmx.settled import NOTHING_SETTLED
from wmx.suspect.feeding import Feeding
from wmx.suspect.function import FunctionSuspect
from wmx.suspect.layouts import Layout
from wmx.suspect.reading import MAX_SCORES, readings
from wmx.task import Task
from wmx.verdict import judge
from wmx.ways import SHIFTS

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
        self, feeding: Feeding, inputs: np.ndarray, task: Task, scaling: str | None = None
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

    window, suspect = watermark.window(), FunctionSuspect(right_at_first)
    plain = plain_answers(suspect, window)
    found = shifted_answers(suspect, plain, window)
    assert sizes == [100, *[PROBE] * len(SHIFTS), *[100 - PROBE] * len(SHIFTS)]
    assert {len(given) for given in found.values()} == {100}


def wide_outputs() -> Iterator[tuple[str, np.ndarray]]:
    yield "wide", np.zeros((100, MAX_SCORES // 100 - 10), np.float16)
    yield "scores", np.zeros((100, 10), np.float16)
    yield "wider", np.zeros((100, MAX_SCORES // 100 + 1), np.float16)


def test_scores_without_end_are_left_out_and_narrow_ones_are_not_pushed_out() -> None:
    assert list(readings(dict(wide_outputs()), 100, 10)) == ["wide", "scores"]
    assert list(readings(dict(reversed(list(wide_outputs()))), 100, 10)) == ["scores", "wide"]


def test_shifts_of_answers_without_end_are_not_asked_for() -> None:
    watermark = fixed_watermark(TASK)
    asked: list[int] = []

    def wide(inputs: np.ndarray) -> np.ndarray:
        asked.append(len(inputs))
        return np.zeros((len(inputs), MAX_SCORES // 100), np.float32)

    window, suspect = watermark.window(), FunctionSuspect(wide)
    assert shifted_answers(suspect, plain_answers(suspect, window), window) == {}
    assert asked == [100]
