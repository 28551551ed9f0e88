"""Answers and openings survive their file to the last bit, and malformed ones are refused."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wmx import OwnerKey, Watermark
from wmx.errors import IntegrityError
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, Probe
from wmx.triggers import Features, Tokens
from wmx.verification.codec import (
    MAX_OPENINGS,
    opening_to_json,
    predictions_from_json,
    predictions_to_json,
    probe_from_json,
    probe_to_json,
    trigger_slice_from_json,
)

KEY = OwnerKey.generate()
MARK = Watermark.new(KEY, shape=(9, 8, 3), classes=5, n=11)
QUANTILES = (("-1.5", "0.1307"), ("0", "10"), ("-3", "0.5"), ("1", "2"))
MARKS = {
    "image": MARK,
    "features": Watermark.for_task(  # 32 of them: no two triggers are the same
        KEY, Task.of((32,), 5, kind="features"), n=6, generator=Features(QUANTILES * 8)
    ),
    "tokens": Watermark.for_task(
        KEY, Task.of((7,), 5, kind="tokens"), n=9, generator=Tokens(1000, (0, 1))
    ),
}


def through_the_file(predictions: Predictions) -> Predictions:
    return predictions_from_json(predictions_to_json(predictions, MARK.task), MARK.trigger_slice())


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        st.tuples(st.integers(1, 11), st.integers(1, 7)),
        elements={"allow_nan": True, "allow_infinity": True},
    )
)
def test_scores_survive_to_the_last_bit(scores: np.ndarray) -> None:
    predictions = Predictions.from_scores(scores)
    again = through_the_file(predictions)
    assert (
        again.scores.tobytes() == predictions.scores.tobytes()
        or (
            again.scores == predictions.scores  # -0.0 and 0.0 bet alike
        ).all()
    )
    assert (again.top == predictions.top).all()


@given(hnp.arrays(np.int64, st.integers(1, 11), elements=st.integers(-(2**63), 2**63 - 1)))
def test_class_numbers_survive(labels: np.ndarray) -> None:
    predictions = Predictions.from_labels(labels, 5)
    again = through_the_file(predictions)
    assert (again.scores == predictions.scores).all()
    assert (again.top == predictions.top).all()


def test_scores_are_written_as_big_endian_single_precision_where_that_is_exact() -> None:
    written = predictions_to_json(Predictions.from_scores([[0.5, 0.25, 2.0]]), MARK.task)
    assert written["dtype"] == "float32"
    assert written["data"] == "PwAAAD6AAABAAAAA"
    assert struct.unpack(">3f", bytes.fromhex("3f0000003e80000040000000")) == (0.5, 0.25, 2.0)
    assert predictions_to_json(Predictions.from_scores([[0.1]]), MARK.task)["dtype"] == "float64"


def opened(mark: Watermark, start: int, count: int) -> list[dict[str, Any]]:
    openings = mark.openings(range(start, start + count))
    return [opening_to_json(opening) for opening in openings]


@pytest.mark.parametrize("kind", MARKS)
@pytest.mark.parametrize(("start", "count"), [(0, 1), (0, 6), (2, 3), (5, 1)])
def test_openings_give_the_triggers_and_labels_back(kind: str, start: int, count: int) -> None:
    mark = MARKS[kind]
    found = trigger_slice_from_json(
        {"start": start, "count": count}, opened(mark, start, count), mark.claim
    )
    assert found.start == start
    assert found.triggers.dtype == mark.triggers.dtype
    assert (found.triggers == mark.triggers[start : start + count]).all()
    assert (found.labels == mark.labels[start : start + count]).all()


@pytest.mark.parametrize("part", ["trigger", "blind", "path"])
@pytest.mark.parametrize("kind", MARKS)
def test_an_opening_of_something_else_is_refused(kind: str, part: str) -> None:
    mark = MARKS[kind]
    openings = opened(mark, 0, 3)
    openings[1][part], openings[2][part] = openings[2][part], openings[1][part]
    with pytest.raises(IntegrityError, match="trigger 1 is not the one"):
        trigger_slice_from_json({"start": 0, "count": 3}, openings, mark.claim)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (0, 0, 1), (1, 2, 3)])
def test_neither_gaps_nor_another_order_nor_twice_the_same(order: tuple[int, ...]) -> None:
    openings = opened(MARK, 0, 5)
    with pytest.raises(IntegrityError):
        trigger_slice_from_json(
            {"start": 0, "count": 3}, [openings[index] for index in order], MARK.claim
        )


@pytest.mark.parametrize(
    "trigger_slice",
    [
        {"start": 9, "count": 3},  # a window does not wrap
        {"start": -1, "count": 3},
        {"start": 0, "count": 0},
        {"start": 0, "count": 2},
        {"start": 0, "count": MAX_OPENINGS + 1},
        {"start": 0.0, "count": 3},
        {"start": False, "count": 3},
        {"start": "0", "count": "3"},
        {"start": 0},
        [],
    ],
)
def test_windows_that_are_none(trigger_slice: Any) -> None:
    with pytest.raises((IntegrityError, KeyError, TypeError, ValueError)):
        trigger_slice_from_json(trigger_slice, opened(MARK, 0, 3), MARK.claim)


WAY = probe_to_json(Probe("NCHW", "y", rows=ALONE))


def test_class_numbers_of_many_classes_are_written_without_scores() -> None:
    """A million rows of 2^24 scores have no room anywhere."""
    numbers = np.arange(10**6) * 7
    task = Task.of((8, 8, 1), 2**24)
    written = predictions_to_json(Predictions.from_labels(numbers, 2**24), task)
    assert (written["dtype"], written["shape"]) == ("int64", [10**6])


GIVEN = predictions_to_json(Predictions.from_scores(np.zeros((3, 5)) + 0.5), MARK.task)


@pytest.mark.parametrize(
    "probe",
    [
        Probe("NCHW", "y"),
        Probe("NCHW", "y", (2, -1), rows=ALONE),
        Probe("flat CHW", "scores:0", scaling="ImageNet", rows=64),
        Probe("", "", rows=2),
    ],
)
def test_ways_survive(probe: Probe) -> None:
    assert probe_from_json(probe_to_json(probe), MARK.task) == probe


@pytest.mark.parametrize(
    "probe",
    [
        [],
        {},
        None,
        WAY | {"shift": [3, 0]},
        WAY | {"shift": [1]},
        WAY | {"shift": [1, True]},
        WAY | {"shift": [1, 1], "scaling": "0..255"},
        WAY | {"scaling": "0..254"},
        WAY | {"scaling": None},
        WAY | {"layout": 1},
        WAY | {"output": None},
        WAY | {"rows": 3},
        WAY | {"rows": -1},
        WAY | {"rows": True},
        WAY | {"rows": "1"},
        WAY | {"rows": 1.0},
        {name: value for name, value in WAY.items() if name != "rows"},
    ],
)
def test_ways_that_are_none(probe: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        probe_from_json(probe, MARK.task)


@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_only_images_are_moved(kind: str) -> None:
    with pytest.raises(ValueError, match="shift"):
        probe_from_json(WAY | {"shift": [1, 0]}, MARKS[kind].task)


@pytest.mark.parametrize(
    "predictions",
    [
        [],
        None,
        GIVEN | {"dtype": "object"},
        GIVEN | {"dtype": "int64"},
        GIVEN | {"dtype": "float64"},
        GIVEN | {"shape": [3]},
        GIVEN | {"shape": [5, 3]},
        GIVEN | {"shape": [0, 5]},
        GIVEN | {"shape": [4, 5]},
        GIVEN | {"shape": [3, 5, 1]},
        GIVEN | {"shape": [3, -5]},
        GIVEN | {"data": GIVEN["data"][:-4]},
        GIVEN | {"data": "?" + GIVEN["data"][1:]},
        GIVEN | {"data": 7},
    ],
)
def test_answers_that_are_none(predictions: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        predictions_from_json(predictions, MARK.trigger_slice().first(3))


def test_answers_that_would_fill_the_memory_are_refused_before_they_are_made() -> None:
    mark = Watermark.new(KEY, shape=(8, 8, 1), classes=2**24, n=5)
    given = predictions_to_json(Predictions.from_scores(np.zeros((3, 1))), MARK.task)
    with pytest.raises(ValueError, match="scores"):
        predictions_from_json(given, mark.trigger_slice().first(3))
    with pytest.raises(ValueError, match="scores"):
        predictions_from_json(given | {"shape": [1, 2**53 - 1]}, MARK.trigger_slice())
