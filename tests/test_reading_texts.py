"""What outputs say does not hang on how it is spelled: texts, names and sequences."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from support.scores import SCORES, K, N

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.suspect import session as runtime
from wmx.suspect.function import FunctionSuspect
from wmx.suspect.policy.rules import looked_through
from wmx.suspect.values import FIRST_NAME, MAX_NAMES, Texts, from_sequence, numbers_in_front


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["3", "7", "3"], [3, 7, 3]),
        (["0.25", "1e-05", "3"], [0.25, 1e-05, 3.0]),
        (["-3", "+2", "nan", "INF", "-inf"], [-3.0, 2.0, np.nan, np.inf, -np.inf]),
        (["cat", "dog", "cat"], [FIRST_NAME, FIRST_NAME + 1, FIRST_NAME]),
        (["cat", "0.5", "7"], [FIRST_NAME, FIRST_NAME + 1, 7]),
        (["1_000", "0x1F", "\u0663", ""], [FIRST_NAME + i for i in range(4)]),
        (["9" * 400], [FIRST_NAME]),
    ],
)
def test_texts_are_numbers_where_all_are_and_else_names(
    texts: list[str], expected: list[Any]
) -> None:
    np.testing.assert_array_equal(Texts().numbered(np.array(texts, object)), expected)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["7 0.93", "3 0.5"], [7, 3]),
        (["21.5%", "7%"], [21.5, 7.0]),
        ([" 3", "4"], [3, 4]),
        (["0 - zero", "9 - nine"], [0, 9]),
        (["-1.5;", "nan,"], [-1.5, np.nan]),
    ],
)
def test_numbers_are_read_in_front_of_texts(texts: list[str], expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers_in_front(np.array(texts, object)), expected)


@pytest.mark.parametrize(
    "texts",
    [["7", "3"], ["0.5", "3"], ["7 a", "b"], ["1st"], ["0x1F"], ["1.2.3"], ["infant"], [""]],
)
def test_other_texts_have_no_numbers_in_front(texts: list[str]) -> None:
    assert numbers_in_front(np.array(texts, object)) is None


def test_a_name_keeps_its_number() -> None:
    texts = Texts()
    first = texts.numbered(np.array([["cat", "dog"], ["owl", "cat"]], object))
    assert (
        texts.numbered(np.array(["owl", "dog", "cat"], object)) == first[[1, 0, 0], [0, 1, 0]]
    ).all()


def test_an_output_that_names_without_end_says_nothing_any_more() -> None:
    """What is remembered of it would fill the memory, of a server in the process with the key."""
    texts, others = Texts(), Texts()
    many = np.array([f"name {number}" for number in range(MAX_NAMES)], object)
    assert texts.numbered(many) is not None
    assert texts.numbered(many[::-1]) is not None
    assert texts.numbered(np.array(["7", "9"], object)) is not None
    assert texts.numbered(np.array(["one more"], object)) is None
    assert texts.numbered(many[:3]) is None
    assert others.numbered(many[:3]) is not None


def test_names_of_any_length_are_told_apart_and_not_kept() -> None:
    texts = Texts()
    tracemalloc.start()
    for letter in "abc":
        texts.numbered(np.array([letter * 2**22, "\ud800"], object))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = texts.numbered(np.array([letter * 2**22 for letter in "cab"], object))
    assert found is not None
    assert found.tolist() == [FIRST_NAME + 3, FIRST_NAME, FIRST_NAME + 2]
    assert kept < 2**20


def test_a_function_that_names_without_end_has_no_output() -> None:
    given = np.array([[f"name {number}" for number in range(MAX_NAMES)]], object)
    suspect = FunctionSuspect(lambda inputs: given)
    task = Task.of((8, 8, 1), 10)
    (feeding,) = suspect.feedings(task)
    assert suspect.predictions(feeding, np.zeros((1, 8, 8, 1), np.uint8), task)
    given[0, 0] = "one more"
    with pytest.raises(CannotRunError, match="expected scores"):
        suspect.predictions(feeding, np.zeros((1, 8, 8, 1), np.uint8), task)


def test_an_output_of_a_file_that_names_without_end_hides_no_other() -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["numbers"], to=TensorProto.STRING),
            helper.make_node("StringConcat", ["numbers", "letter"], ["many"]),
            helper.make_node("StringConcat", ["letter", "letter"], ["one"]),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [
            helper.make_tensor_value_info("many", TensorProto.STRING, ["n"]),
            helper.make_tensor_value_info("one", TensorProto.STRING, [1]),
        ],
        [helper.make_tensor("letter", TensorProto.STRING, [1], [b"n"])],
    )
    opsets = [helper.make_opsetid("", 20)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    data = made.SerializeToString()
    session = runtime.load(data, looked_through(data, "model.onnx"), "cpu")
    many, one = session.run({"x": np.arange(MAX_NAMES + 1, dtype=np.float32)})
    assert many is None
    assert one is not None
    assert one.tolist() == [FIRST_NAME]


def test_sequences_are_arrays_where_their_parts_fit() -> None:
    parts = [SCORES[:, [i]] for i in range(K)]
    assert from_sequence(parts).shape == (K, N, 1)  # type: ignore[union-attr]
    assert from_sequence([SCORES[:, :3], SCORES[:, 3:]]).shape == (N, K)  # type: ignore[union-attr]
    assert len(from_sequence([SCORES, SCORES[:3]])) == 2  # type: ignore[arg-type]
    assert from_sequence([SCORES, 1.0]) is None
    assert from_sequence([]) is None
    assert from_sequence([np.float32(1), np.zeros(3)]) is None
    scored = [{"--5": 0.5, "b": 1, "10": 2, "9": 3}] * 2
    assert from_sequence(scored).tolist() == [[3, 2, 0.5, 1]] * 2  # type: ignore[union-attr]
    assert from_sequence([{"a": 1}, {"b": 1}]) is None
