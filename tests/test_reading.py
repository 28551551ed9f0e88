"""What outputs say does not hang on how their numbers are arranged or typed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from support.fixed import fixed_watermark
from support.scores import DRAW, SCORES, K, N

from wmx.statistics.mixture import score_predictions
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.suspect.outputs import MAX_OUTPUTS, MAX_READINGS, found_in
from wmx.suspect.tables import Joined, tables

TOP = SCORES.argmax(axis=1)


def read(*outputs: NDArray[Any], classes: int = K) -> dict[str, Predictions]:
    return found_in({f"y{i}": output for i, output in enumerate(outputs)}, N, classes).predictions


def says_the_classes(found: dict[str, Predictions]) -> bool:
    return any((predictions.top == TOP).all() for predictions in found.values())


ARRANGED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "as it is": lambda s: s,
    "an axis in front": lambda s: s[None],
    "axes behind": lambda s: s[..., None, None],
    "an axis between": lambda s: s[:, None],
    "transposed": lambda s: s.T,
    "transposed, an axis more": lambda s: s.T[:, None],
    "flat": lambda s: s.reshape(-1),
    "flat, transposed": lambda s: s.T.reshape(-1),
    "folded": lambda s: s.reshape(len(s), 2, 5),
    "folded and transposed": lambda s: np.moveaxis(s.reshape(len(s), 2, 5), 0, 2),
    "between": lambda s: np.moveaxis(s.reshape(len(s), 2, 5), 0, 1),
    "cut up": lambda s: s.reshape(10, -1),
}


@pytest.mark.parametrize("how", ARRANGED)
@pytest.mark.parametrize("rows", [1, 7, 10, 20])
def test_scores_are_found_however_they_are_arranged(how: str, rows: int) -> None:
    joined = Joined(N, K)
    for start in range(0, N, rows):
        chunk = SCORES[start : start + rows]
        joined.add([("y", np.ascontiguousarray(ARRANGED[how](chunk)))], len(chunk), len(chunk))
    assert says_the_classes(found_in(joined.tables(), N, K).predictions)


@pytest.mark.parametrize("how", ARRANGED)
def test_inputs_that_fill_up_a_batch_do_not_count(how: str) -> None:
    joined = Joined(N, K)
    for start in range(0, N, 8):
        chunk = SCORES[start : start + 8]
        filled = np.concatenate([chunk, np.repeat(chunk[-1:], 8 - len(chunk), axis=0)])
        joined.add([("y", ARRANGED[how](filled))], 8, len(chunk))
    found = found_in(joined.tables(), N, K).predictions
    assert {len(predictions) for predictions in found.values()} == {N}
    assert says_the_classes(found)


@pytest.mark.parametrize("more", [1, 2, 3, 20])
@pytest.mark.parametrize("rows", [1, 7, 20])
@pytest.mark.parametrize("before", [True, False])
def test_more_rows_than_inputs_hide_no_scores(more: int, rows: int, before: bool) -> None:
    joined = Joined(N, K)
    for start in range(0, N, rows):
        chunk = SCORES[start : start + rows]
        junk = DRAW.normal(0, 1e3, (more, K)).astype(np.float32)
        together = np.concatenate([junk, chunk] if before else [chunk, junk])
        joined.add([("y", together)], len(chunk), len(chunk))
    assert says_the_classes(found_in(joined.tables(), N, K).predictions)


def test_outputs_of_many_tables_do_not_hide_another() -> None:
    joined = Joined(N, K)
    decoys = [(f"y{i}", np.zeros((2 * N, N, N))) for i in range(7)]
    joined.add([*decoys, ("y", SCORES)], N, N)
    assert says_the_classes(found_in(joined.tables(), N, K).predictions)


def test_what_is_usual_is_read_in_one_way() -> None:
    """Each more costs its share."""
    for array in (SCORES, SCORES[:, None], SCORES[..., None, None], TOP, TOP[:, None]):
        assert [words for words, _ in tables(array, N)] == [""]
        assert list(read(array)) == ["y0"]


@given(
    npst.arrays(
        dtype=st.sampled_from(["float32", "int8", "uint64", "bool"]),
        shape=npst.array_shapes(min_dims=0, min_side=0, max_dims=5, max_side=6),
    ),
    st.integers(1, 6),
)
def test_every_table_holds_the_numbers_of_its_output(array: NDArray[Any], rows: int) -> None:
    parts = {" first rows": array[:rows], " last rows": array[-rows:]} if array.ndim else {}
    for words, table in tables(array, rows):
        part = parts.get(words, array)
        assert table.shape == (rows, part.size // rows)
        assert sorted(table.reshape(-1).tobytes()) == sorted(part.tobytes())


def test_outputs_that_change_their_columns_are_left_out() -> None:
    joined = Joined(2, K)
    for width in (3, 4):
        joined.add([("y", np.zeros((1, width))), ("z", np.zeros((1, 3)))], 1, 1)
    assert list(joined.tables()) == ["z"]


def test_the_widest_outputs_are_left_out_where_all_are_too_many() -> None:
    joined = Joined(2**20, 2)
    for _ in range(2):
        wide = np.broadcast_to(np.float32(0), (2**19, 100))
        joined.add([("wide", wide), ("y", np.zeros((2**19, 4)))], 2**19, 2**19)
    assert list(joined.tables()) == ["y"]


def test_a_name_that_is_taken_hides_no_reading() -> None:
    ranked = np.argsort(-SCORES, axis=1)[:, :3]
    noise = np.random.default_rng(1).normal(size=(N, K))
    for names in (("y", "y as class", "y as ranking"), ("y as ranking", "y as class", "y")):
        outputs = dict.fromkeys(names, noise) | {"y": ranked}
        found = found_in(outputs, N, K).predictions
        assert len(found) == 5
        assert sum((predictions.top == TOP).all() for predictions in found.values()) == 2
    joined = Joined(N, K)
    joined.add([("y", SCORES.T.copy()), ("y along axis 1", noise)], N, N)
    assert says_the_classes(found_in(joined.tables(), N, K).predictions)


TYPES = [np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64]
UNSIGNED = [np.uint8, np.uint16, np.uint32, np.uint64]


@pytest.mark.parametrize("dtype", [*TYPES, *UNSIGNED])
def test_a_type_says_nothing(dtype: Any) -> None:
    whole = (SCORES * 4 + 45).round()
    assert says_the_classes(read(whole.astype(dtype)))
    assert says_the_classes(read(TOP.astype(dtype)))
    ranked = np.argsort(-SCORES, axis=1)
    for k in (2, 3, 10):
        assert says_the_classes(read(ranked[:, :k].astype(dtype)))


@pytest.mark.parametrize("offset", [2**53, 2**62, 2**63 - 2**12, -(2**62), -(2**63)])
def test_integers_that_no_float_tells_apart_keep_their_order(offset: int) -> None:
    whole = (SCORES * 100).astype(np.int64)
    moved = (whole - whole.min()) + np.int64(offset)
    (predictions,) = (given for name, given in read(moved).items() if name == "y0")
    order = np.argsort(whole, axis=1, kind="stable")
    places = np.take_along_axis(predictions.scores, order, axis=1)
    alike = np.diff(np.take_along_axis(whole, order, axis=1), axis=1) == 0
    assert (np.diff(places, axis=1)[~alike] == 1).all()
    assert (np.diff(places, axis=1)[alike] == 0).all()
    highest = np.uint64(2**64 - 1) - (whole.max() - whole).astype(np.uint64)
    assert says_the_classes(read(highest))


def test_a_list_of_classes_is_read_by_its_first_and_by_its_order() -> None:
    ranked = np.argsort(-SCORES, axis=1)[:, :3]
    found = read(ranked)
    assert list(found) == ["y0 as ranking", "y0", "y0 as class"]
    assert (found["y0 as class"].scores == np.eye(K)[TOP]).all()
    for row, scores in zip(ranked, found["y0 as ranking"].scores, strict=True):
        assert scores[row].tolist() == [3, 2, 1]
        assert scores.sum() == 6


@pytest.mark.parametrize(
    "array",
    [
        np.eye(K)[TOP],  # scores of 0 and 1
        np.zeros((N, 3), np.int64),
        SCORES,
        np.full((N, 3), np.nan),
        np.full((N, 3), np.inf),
        np.full((N, 3), -(2**63), np.int64),
        np.tile(np.array([-1, -2]), (N, 1)),
        np.tile(np.array([0.5, 3.5]), (N, 1)),
        np.tile(np.array([2.0**60, 2.0**61]), (N, 1)),
    ],
)
def test_what_lists_no_classes_is_read_as_scores_alone(array: NDArray[Any]) -> None:
    assert all("as" not in name for name in read(array))


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**60])
def test_what_tells_no_whole_numbers_apart_is_no_class(classes: int, value: float) -> None:
    found = read(np.full(N, value), classes=classes)
    assert list(found) == (["y0"] if classes == 2 else [])


def test_of_two_classes_a_number_is_a_score_and_may_be_a_class() -> None:
    for dtype in (bool, np.int8, np.float64, np.uint64):
        (predictions,) = read((TOP > 4).astype(dtype), classes=2).values()
        assert (predictions.top == (TOP > 4)).all()
    renumbered = read(np.where(TOP > 4, 7, 3), classes=2)
    assert list(renumbered) == ["y0", "y0 as class"]
    assert set(renumbered["y0 as class"].top) == {3, 7}
    quantised = read(((SCORES[:, 0] - SCORES[:, 1]) * 4).astype(np.int8), classes=2)
    assert (quantised["y0"].top == (SCORES[:, 0] > SCORES[:, 1])).all()


def test_a_number_is_the_class_before_its_point() -> None:
    for added in (0.5, DRAW.uniform(0.05, 0.95, N)):
        (predictions,) = read(TOP + added).values()
        assert (predictions.top == TOP).all()
    negated = read(-TOP - 0.5)["y0"].top
    assert (negated == -TOP - 1).all()
    column = TOP.astype(np.float64)
    column[3:5] = 0.5, np.nan
    (predictions,) = read(column).values()
    assert predictions.top[3:5].tolist() == [0, -1]
    assert (predictions.top[5:] == TOP[5:]).all()


def test_a_number_of_which_none_is_a_class_comes_after_the_scores() -> None:
    """The hits that are reported are those of the first reading."""
    assert list(read(np.full(N, 0.5), SCORES)) == ["y1", "y0"]


@pytest.mark.parametrize("width", [11, 13, 18, 19, 20, 30, 80, 1000])
def test_as_many_columns_as_there_are_classes_are_looked_for(width: int) -> None:
    rng = np.random.default_rng(2)
    wide = rng.normal(0, 1e6, (N, width))
    for start in {width - K, 1 if width <= 18 else width - K}:
        inside = wide.copy()
        inside[:, start : start + K] = SCORES
        assert says_the_classes(read(inside))
    if width % K == 0 and width <= 80:
        for times in range(width // K):
            inside = wide.copy()
            inside[:, times :: width // K] = SCORES
            assert says_the_classes(read(inside))


def test_outputs_side_by_side_may_be_the_scores() -> None:
    columns = [SCORES[:, [i]] for i in range(K)]
    assert says_the_classes(read(*columns))
    assert says_the_classes(read(np.full((N, 1), 0.5), *columns, np.full((N, 1), 0.5)))
    assert says_the_classes(read(SCORES[:, :3], SCORES[:, 3:9], SCORES[:, 9:]))
    assert list(read(SCORES[:, :3], SCORES[:, 3:8])) == ["y0", "y1"]


def test_there_is_an_end_to_readings() -> None:
    ranked = np.argsort(-SCORES, axis=1)
    found = read(*[np.tile(ranked, (1, 2))] * 64)
    assert len(found) == MAX_READINGS
    assert list(found)[:MAX_OUTPUTS] == [f"y{i}" for i in range(MAX_OUTPUTS)]
    assert says_the_classes(read(*[ranked[:, :3]] * 64))


@pytest.mark.slow
def test_readings_of_what_knows_nothing_earn_nothing() -> None:
    """However many there are: the mixture's mean wealth is 1, whatever the output."""
    watermark = fixed_watermark()
    trigger_slice = watermark.trigger_slice().first(N)
    rng = np.random.default_rng(3)
    ranked = np.tile(np.argsort(-SCORES, axis=1), (1, 2))
    found = {Probe("NCHW", name): predictions for name, predictions in read(ranked, TOP).items()}
    assert len(found) > 4
    wealth = []
    for _ in range(2000):
        labels = rng.integers(0, K, N)
        drawn = type(trigger_slice)(trigger_slice.claim, 0, trigger_slice.triggers, labels)
        wealth.append(2.0 ** score_predictions(found, drawn, penalty=0.0).bits)
    assert sum(one >= 16 for one in wealth) <= 2000 / 16  # Ville
    assert np.median(wealth) < 1
