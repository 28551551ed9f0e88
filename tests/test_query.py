"""Querying a suspect: it may remember its queries, and answer without end; neither helps it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from support.fixed import OWNER, fixed_watermark

from wmx import Watermark, verify
from wmx.errors import CannotRunError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, OTHER_ROWS, SHIFTS, TOGETHER, Probe
from wmx.suspect.function import FunctionSuspect
from wmx.suspect.outputs import MAX_SCORES, found_in
from wmx.suspect.suspect import Predict
from wmx.triggers import Features
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.batch_query import MOST_IN_ROWS, MOST_SHIFTED, TESTED, BatchQuery
from wmx.verification.selection import Selection
from wmx.verification.sequential_query import SequentialQuery
from wmx.verification.verdict import measure

TASK = Task.of((8, 8, 1), 10)
MOST_BITS_OF_CHANCE = 20  # chance exceeds them once in 2^20


@pytest.mark.parametrize("n", [100, MOST_SHIFTED + 44])
def test_every_shift_is_given_as_many_triggers_whatever_it_earns(n: int) -> None:
    watermark = fixed_watermark(TASK, n=n)
    sizes: list[int] = []

    def right_in_every_second_shift(inputs: np.ndarray) -> np.ndarray:
        sizes.append(len(inputs))
        right = watermark.labels[: len(inputs)]
        return np.eye(10)[right if len(sizes) % 2 else (right + 1) % 10]

    asking = BatchQuery(FunctionSuspect(right_in_every_second_shift), watermark.trigger_slice())
    asking.plain()
    asking.shifted()
    assert sizes == [n, *[min(n, MOST_SHIFTED)] * len(SHIFTS)]


def wide_outputs() -> Iterator[tuple[str, np.ndarray]]:
    yield "wide", np.zeros((100, MAX_SCORES // 100 - 10), np.float16)
    yield "scores", np.zeros((100, 10), np.float16)
    yield "wider", np.zeros((100, MAX_SCORES // 100 + 1), np.float16)


def test_scores_without_end_are_left_out_and_narrow_ones_are_not_pushed_out() -> None:
    assert list(found_in(dict(wide_outputs()), 100, 10).predictions) == ["wide", "scores"]
    assert list(found_in(dict(reversed(list(wide_outputs()))), 100, 10).predictions) == [
        "scores",
        "wide",
    ]


@pytest.mark.parametrize(("columns", "calls"), [(9, 1), (10, 1 + len(SHIFTS))])
def test_shifts_of_answers_without_end_are_not_asked_for(
    columns: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "wmx.verification.batch_query.MAX_SHIFTED_SCORES", 100 * columns * len(SHIFTS)
    )
    watermark = fixed_watermark(TASK)
    asked: list[int] = []

    def wide(inputs: np.ndarray) -> np.ndarray:
        asked.append(len(inputs))
        return np.eye(10)[watermark.labels[: len(inputs)]]

    asking = BatchQuery(FunctionSuspect(wide), watermark.trigger_slice())
    asking.plain()
    asking.shifted()
    assert len(asked) == calls


def test_wide_answers_to_one_trigger_after_the_other_are_left_out() -> None:
    """A row alone may hold as many numbers as all rows together otherwise."""
    trigger_slice = fixed_watermark(TASK).trigger_slice().first(20)

    class Wide(FunctionSuspect):
        def predictions(self, *given: Any, **words: Any) -> dict[str, Predictions]:
            return {
                "wide": Predictions.from_scores(np.zeros((1, 4000))),
                "scores": Predictions.from_scores(np.zeros((1, 10))),
                "narrow": Predictions.from_scores(np.zeros((1, 80))),
                "wider": Predictions.from_scores(np.zeros((1, 4007))),
            }

        def leave_out(self, readings: Iterable[str]) -> None:
            left_out.update(readings)

    left_out: set[str] = set()
    asking = SequentialQuery(Wide(len), trigger_slice, lambda _: False)
    asking.plain()
    assert [probe.output for probe in asking.mixture.probes] == ["wide", "scores", "narrow"]
    assert left_out == {"wider"}
    assert {asking.mixture.count(probe) for probe in asking.mixture.probes} == {20}


# Rows that are given together, or alone.


def by_rows(seed: int, classes: int, wants: Callable[[int], bool]) -> Predict:
    """A suspect whose scores hang on the input, and in calls of some sizes on the size too."""

    def scores(inputs: np.ndarray) -> np.ndarray:
        company = len(inputs) if wants(len(inputs)) else 0
        weights = np.random.default_rng([seed, company]).normal(size=(inputs[0].size, classes))
        return inputs.reshape(len(inputs), -1) @ weights

    return scores


def rounds(asking: BatchQuery | SequentialQuery) -> None:
    for ask in asking.rounds():
        ask()


@pytest.mark.parametrize("in_turn", [False, True])
def test_who_does_not_look_at_the_batch_is_asked_in_one_number_of_rows(in_turn: bool) -> None:
    trigger_slice = fixed_watermark(TASK).trigger_slice()
    calls: list[int] = []
    scores = by_rows(1, 10, lambda rows: False)

    def counted(inputs: np.ndarray) -> np.ndarray:
        calls.append(len(inputs))
        return scores(inputs)

    suspect = FunctionSuspect(counted)
    asking = (
        SequentialQuery(suspect, trigger_slice, lambda _: False)
        if in_turn
        else BatchQuery(suspect, trigger_slice)
    )
    asking.plain()
    once = ALONE if in_turn else TOGETHER
    assert calls == ([1] * 100 if in_turn else [100])
    del calls[:]
    if isinstance(asking, BatchQuery):
        asking.single_rows()
        assert calls == [1] * TESTED
        del calls[:]
    asking.other_batches()
    assert calls == (list(OTHER_ROWS) if in_turn else [2] * 8 + [4] * 4 + [8] * 2 + [16, 32, 64])
    probes = asking.mixture.probes
    assert probes == [Probe("channels last", "result", rows=once)] + (
        [] if in_turn else [Probe("channels last", "result", rows=ALONE)]
    )
    assert asking.mixture.tried == 1


def test_a_batch_that_fails_later_takes_nothing_from_the_others() -> None:
    """Junk to single rows, help to pairs: batches of four that fail must not hide these."""
    watermark = fixed_watermark(TASK)
    places = {row.tobytes(): i for i, row in enumerate(TASK.model_input(watermark.triggers))}
    fours: list[int] = []

    def fails(inputs: np.ndarray) -> np.ndarray:
        rows = len(inputs)
        if rows == 4:
            fours.append(rows)
            if len(fours) > 5:
                raise CannotRunError("no more")
        right = np.eye(10)[watermark.labels[[places[row.tobytes()] for row in inputs]]]
        return right if rows == 2 else np.roll(right, rows, axis=1) - 1

    asking = SequentialQuery(FunctionSuspect(fails), watermark.trigger_slice(), lambda _: False)
    asking.plain()
    asking.other_batches()
    counts = {probe.rows: asking.mixture.count(probe) for probe in asking.mixture.probes}
    assert counts[2] == 100
    assert 4 <= counts[4] < 20


@pytest.mark.slow
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
    trigger_slice = fixed_watermark(TASK).trigger_slice()
    suspect = FunctionSuspect(by_rows(1, 10, wants))
    asking = (
        SequentialQuery(suspect, trigger_slice, lambda _: False)
        if in_turn
        else BatchQuery(suspect, trigger_slice)
    )
    asking.plain()
    if isinstance(asking, BatchQuery):
        asking.single_rows()
    asking.other_batches()
    found = {probe.rows for probe in asking.mixture.probes}
    if in_turn:
        expected = {rows for rows in expected if rows != TOGETHER}
        if not wants(2) and wants(1):
            expected |= {*OTHER_ROWS}
    assert found == expected
    asking.shifted()
    for rows in found:
        others = [
            probe for probe in asking.mixture.probes if probe.rows == rows and not probe.is_plain
        ]
        assert len(others) == (len(SHIFTS) if rows in (ALONE, TOGETHER) else 0)


def test_who_answers_batches_of_one_size_alone_is_moved_in_these() -> None:
    trigger_slice = fixed_watermark(TASK).trigger_slice()
    answer = by_rows(1, 10, lambda rows: False)

    def of_four(inputs: np.ndarray) -> np.ndarray:
        if len(inputs) != 4:
            raise CannotRunError("four at a time")
        return answer(inputs)

    asking = SequentialQuery(FunctionSuspect(of_four), trigger_slice, lambda _: False)
    rounds(asking)
    assert {probe.rows for probe in asking.mixture.probes} == {4}
    assert len(asking.mixture.probes) == 1 + len(SHIFTS)


def test_which_triggers_are_tried_singly_hangs_on_the_files_and_not_on_labels() -> None:
    def tried(suspect: FunctionSuspect, trigger_slice: TriggerSlice) -> list[bytes]:
        seen: list[bytes] = []

        def noted(inputs: np.ndarray) -> np.ndarray:
            if len(inputs) == 1:
                seen.append(inputs.tobytes())
            return np.zeros((len(inputs), 10))

        other = FunctionSuspect(noted)
        other.reference = suspect.reference
        asking = BatchQuery(other, trigger_slice)
        asking.plain()
        asking.single_rows()
        return seen

    trigger_slice = fixed_watermark(TASK).trigger_slice()
    suspect = FunctionSuspect(lambda inputs: np.zeros(len(inputs)))
    assert tried(suspect, trigger_slice) != tried(suspect, trigger_slice), "a function has no file"
    suspect.reference = ModelReference("f", "00" * 32)
    first = tried(suspect, trigger_slice)
    assert len(set(first)) == TESTED
    assert tried(suspect, replace(trigger_slice, labels=(trigger_slice.labels + 1) % 10)) == first
    suspect.reference = ModelReference("f", "ab" * 32)
    second = tried(suspect, trigger_slice)
    suspect.reference = ModelReference("f", "ab" * 32, {"weights.bin": "cd" * 32})
    third = tried(suspect, trigger_slice)
    assert len({tuple(first), tuple(second), tuple(third)}) == 3


def test_at_most_so_many_triggers_are_given_singly() -> None:
    watermark = Watermark.for_task(OWNER, TASK, n=MOST_IN_ROWS + 100, salt=bytes(32))
    calls: list[int] = []

    def differs(inputs: np.ndarray) -> np.ndarray:
        calls.append(len(inputs))
        return np.eye(10)[[len(inputs) % 10] * len(inputs)] + np.arange(10) * 0.01

    asking = BatchQuery(FunctionSuspect(differs), watermark.trigger_slice())
    asking.plain()
    asking.single_rows()
    assert calls.count(1) == TESTED + MOST_IN_ROWS
    assert asking.count == len(watermark.labels)


def test_junk_beside_others_is_seen_though_the_scale_is_made_large() -> None:
    """A common offset, a huge column beyond the classes and rows beyond squaring hide nothing."""
    trigger_slice = fixed_watermark(TASK).trigger_slice()
    for disguise in (
        lambda scores: scores + 1e9,
        lambda scores: np.pad(scores, ((0, 0), (0, 1)), constant_values=1e9),
        lambda scores: scores * 1e200,
        lambda scores: np.where(np.arange(10) < 9, scores * 1e-30, 0.0),
    ):
        plain = by_rows(1, 10, lambda rows: rows > 1)
        asking = BatchQuery(FunctionSuspect(lambda x, f=plain, g=disguise: g(f(x))), trigger_slice)
        asking.plain()
        asking.single_rows()
        assert asking.mixture.tried == len(asking.mixture.probes)  # none is taken for another


@pytest.mark.slow
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
    trigger_slice = watermark.trigger_slice()
    suspect = FunctionSuspect(by_rows(seed, classes, lambda rows: rows % 2 == 1))
    for required in (0.5, 1.5):
        verified = [
            measure(
                suspect,
                replace(trigger_slice, labels=np.array(labels)),
                required=required,
                selection=Selection(starts=starts),
            ).verified
            for labels in product(range(classes), repeat=n)
        ]
        assert np.mean(verified) <= 2.0**-required


# what a suspect is asked hangs on no label


@dataclass
class Chance:
    """Answers by chance, differently for every batch size, and keeps all that it is asked."""

    asked: list[bytes] = field(default_factory=list)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        self.asked.append(inputs.tobytes())
        seed = hashlib.sha256(inputs.tobytes()).digest()
        scores: np.ndarray = np.random.default_rng(list(seed)).random((len(inputs), 13))
        return scores


def in_turn(suspect: FunctionSuspect, trigger_slice: TriggerSlice) -> SequentialQuery:
    return SequentialQuery(suspect, trigger_slice, lambda _: False)


@pytest.mark.slow
@pytest.mark.parametrize(("asking", "n"), [(BatchQuery, 20), (BatchQuery, 270), (in_turn, 20)])
def test_a_suspect_that_does_not_verify_is_asked_the_same_whatever_the_labels_are(
    asking: Any, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever remembers could learn labels, within a verification or from one to the next."""
    monkeypatch.setattr("wmx.verification.batch_query.secrets.token_hex", lambda size: "00" * size)
    trigger_slice = fixed_watermark(n=n).trigger_slice()
    heard = []
    for seed in range(3):
        labels = np.random.default_rng(seed).integers(0, 10, n)
        listener = Chance()
        suspect = FunctionSuspect(listener)
        for ask in asking(suspect, replace(trigger_slice, labels=labels)).rounds():
            ask()
        heard.append(listener.asked)
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) > 24


def test_a_function_does_not_foresee_which_rows_are_given_singly() -> None:
    """It may know the claim, and which triggers it follows from that a file would be tested by."""
    mark = fixed_watermark(n=100)
    digest = hashlib.sha256(f"{mark.claim.digest} 0 ".encode()).digest()
    foreseen = np.random.default_rng(int.from_bytes(digest)).permutation(100)[:16]
    known = dict(zip((x.tobytes() for x in mark.inputs), mark.labels, strict=True))

    def wrapper(inputs: np.ndarray) -> np.ndarray:
        right = np.array([known.get(row.tobytes(), 0) for row in inputs])
        shown = np.arange(len(inputs)) if len(inputs) <= 16 else foreseen
        predictions = (inputs.reshape(len(inputs), -1) > 0).sum(axis=1) % 10
        predictions[shown[shown < len(inputs)]] = right[shown[shown < len(inputs)]]
        return np.eye(10)[predictions]

    verdict = verify(wrapper, mark)
    assert verdict.verified
    assert "one row at a time" in verdict.best_probe
