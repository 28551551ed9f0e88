"""The check after every export: what it lets pass, and what it does not."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from support import onnx_models

from wmx import OwnerKey, Watermark
from wmx.errors import CannotRunError
from wmx.suspect.own_model import loaded_from
from wmx.training.export_check import check_export


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)


def says(model: bytes) -> Any:
    """What the framework would say if it agreed with the file."""
    session = loaded_from(model, "model")
    return lambda inputs: np.asarray(session.run({"x": inputs.transpose(0, 3, 1, 2).copy()})[0])


def test_a_file_that_agrees_passes(watermark: Watermark) -> None:
    model = onnx_models.linear(watermark, seed=0)
    check_export(model, says(model), watermark.task)


def test_a_file_that_says_something_else_does_not(watermark: Watermark) -> None:
    model = onnx_models.linear(watermark, seed=0)
    reference = says(model)
    for wrong in (
        lambda inputs: reference(inputs) * 1.01,
        lambda inputs: reference(inputs) * np.nan,
        says(onnx_models.linear(watermark, seed=1)),
    ):
        with pytest.raises(CannotRunError, match="differ by"):
            check_export(model, wrong, watermark.task)
    with pytest.raises(CannotRunError, match=r"gives \(1, 10\) for 1 inputs, expected \(1, 3\)"):
        check_export(model, lambda inputs: np.zeros((len(inputs), 3)), watermark.task)


def test_a_fixed_batch_is_refused(watermark: Watermark) -> None:
    model = onnx_models.knows_labels(watermark, batch=2)
    with pytest.raises(CannotRunError, match="takes batches of 2 only"):
        check_export(model, lambda inputs: np.zeros((len(inputs), 10)), watermark.task)


def test_another_input_is_refused(watermark: Watermark) -> None:
    other = Watermark.new(OwnerKey.generate(), shape=(9, 9, 3), classes=10)
    with pytest.raises(CannotRunError, match="expected one input of image"):
        check_export(onnx_models.linear(other, 0), lambda inputs: inputs, watermark.task)


def test_an_invalid_file_is_refused(watermark: Watermark) -> None:
    proto = onnx.load_from_string(onnx_models.linear(watermark, seed=0))
    proto.graph.node.append(helper.make_node("Relu", ["nowhere"], ["z"]))
    with pytest.raises(CannotRunError, match="not valid ONNX"):
        check_export(proto.SerializeToString(), lambda inputs: inputs, watermark.task)
