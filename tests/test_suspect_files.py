"""Files that cannot be run: each gets an error that says what was found and what to do."""

import hashlib
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import onnx_models

from wmx import OwnerKey, Watermark, verify
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.suspect import session as runtime
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.own_model import OwnModel, loaded_from
from wmx.suspect.suspect import open_suspect
from wmx.suspect.types import shown_names
from wmx.triggers.features import Features
from wmx.verification.verdict import judge


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)


@pytest.fixture(scope="module")
def model(watermark: Watermark) -> bytes:
    return onnx_models.knows_labels(watermark)


def refused(path: Path, watermark: Watermark) -> CannotRunError:
    with pytest.raises(CannotRunError) as caught:
        verify(path, watermark)
    assert caught.value.hint
    return caught.value


def test_no_such_file(watermark: Watermark, tmp_path: Path) -> None:
    assert "no such file" in str(refused(tmp_path / "gone.onnx", watermark))


def test_a_folder(watermark: Watermark, tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="is a folder, expected a file"):
        verify(tmp_path, watermark)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is no model\n" * 50, "is a text file, expected an ONNX file"),
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"\x80\x04\x95" + bytes(100), "pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"-----BEGIN PRIVATE KEY-----\n", "PEM"),
        (bytes(range(7, 200)), "holds something else"),
    ],
)
def test_other_kinds_of_files(
    watermark: Watermark, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(content)
    assert message in str(refused(path, watermark))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off(
    watermark: Watermark, model: bytes, tmp_path: Path, kept: float
) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(model[: int(len(model) * kept)])
    assert "damaged" in str(refused(path, watermark))


def test_an_operator_set_from_the_future(
    watermark: Watermark, model: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.with_opset(model, 99))
    assert "newer ONNX version" in str(refused(path, watermark))


def test_another_input_shape_names_both(model: bytes, tmp_path: Path) -> None:
    task = Task.of((16,), 10, kind="features")
    other = Watermark.for_task(OwnerKey.generate(), task, generator=Features.of([[0, 1]] * 16))
    path = tmp_path / "suspect.onnx"
    path.write_bytes(model)
    message = str(refused(path, other))
    assert "x: tensor(float) [?, 1, 8, 8]" in message
    assert "float NF [N, 16]" in message


def test_no_classifier_output(watermark: Watermark, tmp_path: Path) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.one_number(watermark))
    assert "no classifier output" in str(refused(path, watermark))


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_weights_beside_the_file_are_read_and_hashed(
    watermark: Watermark, model: bytes, tmp_path: Path, together: bool, own: bool
) -> None:
    """In one file, as most exporters write them, or each tensor in its own, by its own name."""
    path = tmp_path / "suspect.onnx"
    onnx_models.save_with_weights_beside(model, path, "suspect.onnx.data" if together else None)
    weights = sorted(set(tmp_path.iterdir()) - {path})
    assert len(weights) == 1 if together else len(weights) > 1
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(model)
    named = () if together else weights
    with closing(open_suspect(path, "cpu", own=own, weights=named)) as suspect:
        assert suspect.reference == ModelReference(
            str(path),
            hashlib.sha256(path.read_bytes()).hexdigest(),
            {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in weights},
        )
        found, expected = verify(suspect, watermark), verify(whole, watermark)
    assert found.suspect == suspect.reference
    assert (found.bits, found.hits, found.probes_tried) == (
        (expected.bits, expected.hits, expected.probes_tried)
    )


def test_weights_are_taken_from_what_was_hashed_and_from_nowhere_else(
    watermark: Watermark, model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "suspect.onnx"
    onnx_models.save_with_weights_beside(model, path, "suspect.bin")
    monkeypatch.chdir(tmp_path)  # where the runtime would find it
    own = OwnModel.read(path)
    with pytest.raises(CannotRunError, match="which was not given"):
        runtime.load(own.data, own.outline, "cpu")
    (tmp_path / "suspect.bin").write_bytes(bytes(2**16))
    session = own.loaded()
    inputs = {session.inputs[0].name: np.ones((1, 1, 8, 8), np.float32)}
    expected = loaded_from(model, "x").run(inputs)
    np.testing.assert_array_equal(session.run(inputs)[0], expected[0])
    with pytest.raises(
        CannotRunError, match=r"this attack needs a model in one file.*suspect\.bin"
    ):
        own.in_one("this attack")


def test_a_free_batch_that_only_takes_one_input_at_a_time(
    watermark: Watermark, model: bytes, tmp_path: Path
) -> None:
    proto = onnx.load_from_string(model)
    for dim in (
        proto.graph.input[0].type.tensor_type.shape.dim[0],
        proto.graph.output[0].type.tensor_type.shape.dim[0],
    ):
        dim.dim_param = "n"
    flatten = proto.graph.node[0]
    flatten.op_type = "Reshape"
    flatten.input.append("one_row")
    proto.graph.initializer.append(
        onnx.numpy_helper.from_array(np.array([1, 64], np.int64), "one_row")
    )
    path = tmp_path / "suspect.onnx"
    path.write_bytes(proto.SerializeToString())
    assert verify(path, watermark).hits == 100


def test_a_device_that_does_not_exist(watermark: Watermark, model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(model)
    with pytest.raises(UsageError, match="device is 'tpu'"):
        verify(path, watermark, device="tpu")  # type: ignore[arg-type]


def test_a_device_that_cannot_run_is_refused_and_not_replaced(
    watermark: Watermark, model: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(model)
    for device, provider in (("cuda", runtime.CUDA), ("tensorrt", runtime.TENSORRT)):
        if provider in runtime.usable_providers():
            assert OnnxFile.open(path, device).session.provider == provider  # type: ignore[arg-type]
        else:
            with pytest.raises(CannotRunError, match="cannot run on this machine"):
                verify(path, watermark, device=device)  # type: ignore[arg-type]


def test_the_runtime_is_silent(model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(model)
    code = (
        "import sys; from wmx.suspect.onnx_file import OnnxFile; OnnxFile.open(sys.argv[1]);"
        "open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[:-9]);"
        "import contextlib, wmx\n"
        "with contextlib.suppress(wmx.errors.CannotRunError): OnnxFile.open(sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "cut.onnx"], capture_output=True, check=True
    )
    assert done.stdout == b""
    assert done.stderr == b""


@pytest.mark.parametrize("own", [True, False])
def test_names_that_cannot_be_printed_are_numbers(
    watermark: Watermark, model: bytes, own: bool, tmp_path: Path
) -> None:
    """Else renaming an output would keep a stolen model from being verified."""
    proto = onnx.load_from_string(model)
    real, end = proto.graph.output[0].name, "\x1b[2J" + "e" * 2**16
    proto.graph.node.extend(
        [
            onnx.helper.make_node("Identity", [real], ["output 2"]),
            onnx.helper.make_node("Neg", [real], [end]),
        ]
    )
    for name in ("output 2", end):
        proto.graph.output.add().CopyFrom(proto.graph.output[0])
        proto.graph.output[-1].name = name
    given = proto.graph.input[0].name
    for node in proto.graph.node:
        node.input[:] = ["\t" if name == given else name for name in node.input]
        node.output[:] = ["\n" if name == real else name for name in node.output]
        node.input[:] = ["\n" if name == real else name for name in node.input]
    proto.graph.input[0].name, proto.graph.output[0].name = "\t", "\n"
    path = tmp_path / "renamed.onnx"
    path.write_bytes(proto.SerializeToString())
    with closing(open_suspect(path, own=own)) as suspect:
        assert [port.name for port in suspect.session.inputs] == ["input 1"]
        assert [port.name for port in suspect.session.outputs] == [
            "output 1",
            "output 2",
            "output 3",
        ]
        assert judge(suspect, watermark).verified


def test_numbers_of_names_are_no_other_names() -> None:
    assert shown_names(["a", "\n", "output 2", "", "output 4'"], "output") == [
        "a",
        "output 2'",
        "output 2",
        "output 4",
        "output 4'",
    ]
    assert shown_names(["\n", "x" * 257], "input") == ["input 1", "input 2"]


def test_what_a_model_failed_at_is_not_said(watermark: Watermark, tmp_path: Path) -> None:
    """An index that is out of bounds may be a trigger's pixel; an error is read by others too."""
    nodes = [
        onnx.helper.make_node("Flatten", ["x"], ["flat"]),
        onnx.helper.make_node("ReduceSum", ["flat"], ["sum"], keepdims=0),
        onnx.helper.make_node("Cast", ["sum"], ["index"], to=onnx.TensorProto.INT64),
        onnx.helper.make_node("Add", ["index", "many"], ["far"]),
        onnx.helper.make_node("Gather", ["flat", "far"], ["y"], axis=1),
    ]
    height, width, channels = watermark.task.shape
    shape = ["n", channels, height, width]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.int64(77_700_000), "many")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = tmp_path / "far.onnx"
    path.write_bytes(model.SerializeToString())
    said = str(refused(path, watermark))
    assert said == "the model failed on an input of float32 (1, 1, 8, 8)"
    with closing(open_suspect(path, own=True)) as own, pytest.raises(CannotRunError, match="777"):
        own.predictions(own.feedings(watermark.task)[0], watermark.triggers, watermark.task)
