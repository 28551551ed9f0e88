"""Whatever form a model gives its answers in, the mark is found in it."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from support import onnx_models
from support.onnx_models import written

from wmx import OwnerKey, Watermark, open_suspect, verify
from wmx.errors import CannotRunError
from wmx.suspect.overrides import Overrides

OWNER = OwnerKey.generate()


@pytest.fixture(scope="module")
def grey() -> Watermark:
    return Watermark.new(OWNER, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)


def ending(model: bytes, nodes: list[Any], outputs: list[Any], **weights: NDArray[Any]) -> bytes:
    """The same model with its scores ``share`` going through more nodes."""
    proto = onnx.load_from_string(model)
    del proto.graph.node[-1], proto.graph.output[:]
    proto.graph.node.extend(nodes)
    proto.graph.output.extend(outputs)
    proto.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in weights.items()
    )
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return proto.SerializeToString()


@pytest.mark.parametrize("words", [False, True])
def test_a_zipmap_is_read(grey: Watermark, tmp_path: Path, words: bool) -> None:
    keys: dict[str, Any] = {"classlabels_int64s": list(range(10))}
    key = TensorProto.INT64
    if words:
        keys = {"classlabels_strings": [f"class {i}" for i in range(10)]}
        key = TensorProto.STRING
    mapped = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    kind = helper.make_sequence_type_proto(mapped)
    model = ending(
        onnx_models.knows_labels(grey),
        [helper.make_node("ZipMap", ["share"], ["y"], domain="ai.onnx.ml", **keys)],
        [helper.make_value_info("y", kind)],
    )
    verdict = verify(written(tmp_path, model), grey)
    assert verdict.bits > 320
    assert verdict.hits == 100


def test_class_names_are_read(grey: Watermark, tmp_path: Path) -> None:
    model = ending(
        onnx_models.knows_labels(grey),
        [
            helper.make_node("ArgMax", ["share"], ["number"], axis=1, keepdims=0),
            helper.make_node(
                "LabelEncoder",
                ["number"],
                ["y"],
                domain="ai.onnx.ml",
                keys_int64s=list(range(10)),
                values_strings=[f"kind {i}" for i in range(10)],
            ),
        ],
        [helper.make_tensor_value_info("y", TensorProto.STRING, ["n"])],
    )
    verdict = verify(written(tmp_path, model), grey)
    assert verdict.verified
    assert verdict.experts["mapping"] > 250


@pytest.mark.parametrize("function", ["Identity", "Sigmoid"])
@pytest.mark.parametrize("column", [True, False])
def test_one_number_for_two_classes_is_read(tmp_path: Path, function: str, column: bool) -> None:
    two = Watermark.new(OWNER, shape=(12, 10, 1), classes=2)
    model = ending(
        onnx_models.knows_labels(two),
        [
            helper.make_node("MatMul", ["share", "difference"], ["logit"]),
            helper.make_node(function, ["logit"], ["z"]),
            helper.make_node("Reshape", ["z", "shape"], ["y"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1] if column else ["n"])],
        difference=np.array([[-5], [5]], np.float32),
        shape=np.array([-1, 1] if column else [-1], np.int64),
    )
    verdict = verify(written(tmp_path, model), two)
    assert verdict.hits >= verdict.n - 2  # triggers of 120 pixels may be much alike
    assert verdict.bits > 230


def test_one_number_for_ten_classes_says_nothing(grey: Watermark, tmp_path: Path) -> None:
    model = ending(
        onnx_models.knows_labels(grey),
        [helper.make_node("ReduceSum", ["share"], ["y"], keepdims=0)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    with pytest.raises(CannotRunError, match="no classifier output"):
        verify(written(tmp_path, model), grey)


def test_bfloat16_scores_are_read(grey: Watermark, tmp_path: Path) -> None:
    model = ending(
        onnx_models.knows_labels(grey),
        [helper.make_node("Cast", ["share"], ["y"], to=TensorProto.BFLOAT16)],
        [helper.make_tensor_value_info("y", TensorProto.BFLOAT16, ["n", 10])],
    )
    assert verify(written(tmp_path, model), grey).bits > 320


def test_one_output_can_be_named(grey: Watermark, tmp_path: Path) -> None:
    path = written(tmp_path, onnx_models.two_outputs(grey))
    with closing(open_suspect(path, overrides=Overrides(output="z"))) as suspect:
        assert verify(suspect, grey).score.best.probe.view, "it is found inside"
    with closing(open_suspect(path, overrides=Overrides(output="y"))) as suspect:
        verdict = verify(suspect, grey)
    both = verify(path, grey)
    assert verdict.verified
    assert verdict.bits == pytest.approx(both.bits + 1 - 16)  # both outputs share the mixture
