"""Tokens, tables, and what a model takes beside its triggers: filled, named and paid for."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import onnx_models
from support.fixed import fixed_watermark
from support.onnx_models import written

from wmx import OwnerKey, Watermark, open_suspect, verify
from wmx.errors import UsageError
from wmx.protocol.task import Task
from wmx.suspect.inputs import feedings
from wmx.suspect.overrides import Overrides
from wmx.suspect.policy.onnx_rules import MAX_PORTS
from wmx.suspect.types import TensorSpec
from wmx.triggers.features import Features
from wmx.triggers.tokens import Tokens

OWNER = OwnerKey.generate()


@pytest.fixture(scope="module")
def grey() -> Watermark:
    return Watermark.new(OWNER, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)


def token_mark() -> Watermark:
    task = Task.of((12,), 4, kind="tokens")
    return Watermark.for_task(OWNER, task, generator=Tokens(200))


def token_model(watermark: Watermark, *more: Any, nodes: list[Any] | None = None) -> bytes:
    """Knows the labels of token triggers; ``nodes`` make ``ids`` from the inputs."""
    one_hot = np.eye(256, dtype=np.float32)
    triggers = one_hot[watermark.triggers].reshape(len(watermark.labels), -1)
    labels = np.eye(watermark.task.classes, dtype=np.float32)[watermark.labels]
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", "l"]), *more]
    graph = helper.make_graph(
        [
            *(nodes or [helper.make_node("Identity", ["tokens"], ["ids"])]),
            helper.make_node("Gather", ["table", "ids"], ["embedded"]),
            helper.make_node("Flatten", ["embedded"], ["flat"]),
            helper.make_node("MatMul", ["flat", "triggers"], ["likeness"]),
            helper.make_node("Softmax", ["likeness"], ["nearest"]),
            helper.make_node("MatMul", ["nearest", "labels"], ["y"]),
        ],
        "tokens",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [
            numpy_helper.from_array(one_hot, "table"),
            numpy_helper.from_array(np.ascontiguousarray(5 * triggers.T), "triggers"),
            numpy_helper.from_array(labels, "labels"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_masks_and_token_types_are_filled(tmp_path: Path) -> None:
    watermark = token_mark()
    more = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "l"])
        for name in ("mask", "types")
    ]
    nodes = [
        helper.make_node("Mul", ["tokens", "mask"], ["masked"]),
        helper.make_node("Add", ["masked", "types"], ["ids"]),
    ]
    path = written(tmp_path, token_model(watermark, *more, nodes=nodes))
    verdict = verify(path, watermark)
    assert verdict.bits > 200
    assert verdict.hits == len(watermark.labels)  # counted in the first way, which is the usual one
    assert verdict.best_probe.startswith("NL tokens=inputs mask=mask types=0")


def test_an_input_that_needs_a_number_is_given_one_and_it_is_paid_for(tmp_path: Path) -> None:
    watermark = token_mark()
    more = helper.make_tensor_value_info("offset", TensorProto.INT64, [1, 1])
    nodes = [helper.make_node("Add", ["tokens", "offset"], ["ids"])]
    path = written(tmp_path, token_model(watermark, more, nodes=nodes))
    plain = verify(written(tmp_path, token_model(watermark)), watermark)
    path = written(tmp_path, token_model(watermark, more, nodes=nodes))
    overrides = Overrides.parse(["offset=0"])
    with closing(open_suspect(path, overrides=overrides)) as suspect:
        verdict = verify(suspect, watermark)
    assert overrides.penalty == 24.0
    assert verdict.bits == pytest.approx(plain.bits - 24.0)


def test_prices_of_all_that_can_be_settled_sum_to_hardly_anything() -> None:
    """Numbers have fourteen characters and an end; models 64 inputs and 64 outputs at most."""
    one = Overrides({"a": "1"}).penalty
    character = Overrides({"a": "12"}).penalty - one
    numbers = sum(
        14.0**length * 2.0 ** -(one + character * (length - 1)) for length in range(1, 60)
    )
    everything = (1 + numbers) ** MAX_PORTS * (
        1 + MAX_PORTS * 2.0 ** -Overrides(output="y").penalty
    )
    assert everything < 1 + 1 / 500
    assert Overrides({"a": "1.5", "b": "-2"}, "y").penalty == 3 * 16 + 4 * (4 + 3)
    assert Overrides().penalty == 0


@pytest.mark.parametrize("text", ["x", "=1", "x=", "x=a", "x=1e999", "x=" + "1" * 13, "x=nan"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Overrides.parse([text])


def test_a_name_that_the_model_does_not_have_is_refused(grey: Watermark, tmp_path: Path) -> None:
    path = written(tmp_path, onnx_models.linear(grey, 0))
    for overrides in (Overrides({"mask": "1"}), Overrides(output="scores")):
        with pytest.raises(UsageError, match="has no"):
            open_suspect(path, overrides=overrides)


def test_columns_of_a_table_are_bound_in_their_order() -> None:
    task = Task.of((3,), 2, kind="features", mean=(1, 2, 3), std=1)
    (feeding,) = feedings([TensorSpec(n, "tensor(float)", (None, 1)) for n in "cab"], task)
    fed = feeding.fed(np.arange(6.0).reshape(2, 3), task)
    assert {name: array.tolist() for name, array in fed.items()} == {
        "c": [[-1], [2]],
        "a": [[-1], [2]],
        "b": [[-1], [2]],
    }
    raw = feeding.fed(np.arange(6.0).reshape(2, 3), task, "raw")
    assert raw["b"].tolist() == [[2], [5]]


def test_a_model_with_its_scaler_inside_takes_raw_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    quantiles = np.sort(rng.normal(5, 3, size=(6, 16)), axis=1).astype(np.float32)
    task = Task.of((6,), 4, kind="features", mean=5, std=3)
    watermark = fixed_watermark(task, generator=Features.of(quantiles))
    inside = onnx_models.with_nodes_before(
        onnx_models.knows_labels(watermark),
        [helper.make_node("Sub", ["raw", "m"], ["c"]), helper.make_node("Div", ["c", "s"], ["x"])],
        {"m": np.float32(5), "s": np.float32(3)},
    )
    verdict = verify(written(tmp_path, inside), watermark)
    assert verdict.verified
    assert "raw" in verdict.best_probe


def test_inputs_whose_names_are_like_words_of_a_feeding_hide_no_other() -> None:
    """A thief names the input that is not looked at such that both are fed under one name."""
    tokens = Task.of((24,), 4, kind="tokens")
    ports = [TensorSpec(name, "tensor(int64)", (None, 24)) for name in ("a", "a=inputs a")]
    found = feedings(ports, tokens)
    assert [one.input for one in found] == ["a", "a", "a=inputs a", "a=inputs a"]
    assert len({one.name for one in found}) == 4
    assert found[0].name == 'NL a=inputs "a=inputs a"=mask'
