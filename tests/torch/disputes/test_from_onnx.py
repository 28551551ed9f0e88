"""ONNX files as networks that can be trained on: the same answers, and the right weights."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from wmx.errors import CannotRunError
from wmx.suspect.own_model import loaded_from
from wmx_torch._fine_tuning.from_onnx import Fed, converted


def normalised(last: str = "Identity", *, layout: str = "NCHW") -> bytes:
    """Convolution, BatchNorm and a matrix, written node by node."""
    rng = np.random.default_rng(0)
    shape = [1, 4, 4] if layout == "NCHW" else [4, 4, 1]
    perm = [0, 1, 2, 3] if layout == "NCHW" else [0, 3, 1, 2]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=perm),
        helper.make_node("Conv", ["t", "kernel"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["b"]),
        helper.make_node("Flatten", ["b"], ["f"]),
        helper.make_node("MatMul", ["f", "matrix"], ["m"]),
        helper.make_node(last, ["m"], ["y"]),
    ]
    weights = {
        "kernel": rng.normal(size=(3, 1, 3, 3)),
        "scale": rng.normal(size=3),
        "bias": rng.normal(size=3),
        "mean": rng.normal(size=3),
        "var": rng.uniform(0.5, 2, size=3),
        "matrix": rng.normal(size=(48, 5)),
    }
    graph = helper.make_graph(
        nodes,
        "normalised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in weights.items()],
    )
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("last", ["Identity", "Softmax"])
def test_it_answers_as_the_file_does_in_logits(layout: str, last: str) -> None:
    data = normalised(last, layout=layout)
    images = np.random.default_rng(1).normal(size=(6, 1, 4, 4)).astype(np.float32)
    fed = images if layout == "NCHW" else images.transpose(0, 2, 3, 1)
    (expected,) = loaded_from(data, "file").run({"x": np.ascontiguousarray(fed)})
    with torch.no_grad():
        found = Fed(converted(data), layout, 0)(torch.from_numpy(images))
    if last == "Softmax":
        found = found.softmax(dim=1)
        assert np.allclose(expected.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(found.numpy(), expected, atol=1e-4)


def test_weights_are_trained_and_statistics_are_not() -> None:
    network = converted(normalised())
    assert {name: tuple(p.shape) for name, p in network.named_parameters()} == {
        "kernel": (3, 1, 3, 3),
        "scale": (3,),
        "bias": (3,),
        "matrix": (48, 5),
    }
    assert {"mean", "var"} <= dict(network.named_buffers()).keys()
    output = network(torch.ones(2, 1, 4, 4))
    nn.functional.cross_entropy(output, torch.tensor([0, 1])).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_an_operator_that_pytorch_has_not_is_a_clear_cannot() -> None:
    proto = onnx.load_from_string(normalised())
    proto.graph.node[-1].op_type = "NoSuchOperator"
    with pytest.raises(CannotRunError, match="cannot be converted to PyTorch"):
        converted(proto.SerializeToString())
