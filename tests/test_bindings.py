"""Whatever form of image a model takes, the mark is found in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import onnx_models
from support.onnx_models import written

from wmx import OwnerKey, Watermark, verify
from wmx.protocol.task import Task
from wmx.suspect.inputs import feedings
from wmx.suspect.pixels import RESAMPLINGS
from wmx.suspect.types import TensorSpec

OWNER = OwnerKey.generate()


@pytest.fixture(scope="module")
def grey() -> Watermark:
    return Watermark.new(OWNER, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)


@pytest.fixture(scope="module")
def colour() -> Watermark:
    return Watermark.new(OWNER, shape=(9, 11, 3), classes=10, mean=(0.5, 0.4, 0.3), std=0.2)


def cast_first(model: bytes, element: int) -> bytes:
    return onnx_models.with_nodes_before(
        model,
        [helper.make_node("Cast", ["raw"], ["x"], to=TensorProto.FLOAT)],
        {},
        element=element,
    )


def pixels_first(model: bytes, watermark: Watermark, element: int, offset: float = 0.0) -> bytes:
    """Take bytes, of which 0 to 255 are the pixels once ``offset`` is added."""
    inside = onnx_models.with_normalisation_inside(model, watermark)
    proto = onnx.load_from_string(inside)
    proto.graph.input[0].name = "pixels"
    proto.graph.input[0].type.tensor_type.elem_type = element
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(offset), "offset"))
    proto.graph.node.insert(0, helper.make_node("Cast", ["pixels"], ["cast"], to=1))
    proto.graph.node.insert(1, helper.make_node("Add", ["cast", "offset"], ["raw"]))
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def scaled_first(model: bytes, watermark: Watermark, scale: Any, shift: Any) -> bytes:
    """Take ``pixels * scale + shift`` per channel instead of what the claim says."""
    scale = np.broadcast_to(np.asarray(scale, np.float32), (3,)).reshape(-1, 1, 1)
    shift = np.broadcast_to(np.asarray(shift, np.float32), (3,)).reshape(-1, 1, 1)
    inside = onnx.load_from_string(onnx_models.with_normalisation_inside(model, watermark))
    inside.graph.input[0].name = "units"
    inside.graph.initializer.extend(
        [
            numpy_helper.from_array(np.ascontiguousarray(shift), "unit.shift"),
            numpy_helper.from_array(np.ascontiguousarray(scale), "unit.scale"),
        ]
    )
    inside.graph.node.insert(0, helper.make_node("Sub", ["units", "unit.shift"], ["unshifted"]))
    inside.graph.node.insert(1, helper.make_node("Div", ["unshifted", "unit.scale"], ["raw"]))
    onnx.checker.check_model(inside)
    return inside.SerializeToString()


def resized_first(model: bytes, watermark: Watermark, height: int, width: int) -> bytes:
    """Take larger images and shrink them to the claim's size."""
    own_height, own_width, channels = watermark.task.shape
    return onnx_models.with_nodes_before(
        model,
        [helper.make_node("Resize", ["raw", "", "", "size"], ["x"], mode="linear")],
        {"size": np.array([1, channels, own_height, own_width], np.int64)},
        shape=[1, channels, height, width],
    )


FORMS: dict[str, tuple[Callable[[bytes, Watermark], bytes], str]] = {
    "double": (lambda m, w: cast_first(m, TensorProto.DOUBLE), "NCHW"),
    "float16": (lambda m, w: cast_first(m, TensorProto.FLOAT16), "NCHW"),
    "bfloat16": (lambda m, w: cast_first(m, TensorProto.BFLOAT16), "NCHW"),
    "uint8": (lambda m, w: pixels_first(m, w, TensorProto.UINT8), "NCHW"),
    **{
        name.lower(): (
            lambda m, w, name=name: pixels_first(m, w, getattr(TensorProto, name)),  # type: ignore[misc]
            "NCHW",
        )
        for name in ("INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64")
    },
    "int8": (lambda m, w: pixels_first(m, w, TensorProto.INT8, 128.0), "NCHW"),
    "pixels": (lambda m, w: scaled_first(m, w, 1.0, 0.0), "NCHW 0..255"),
    "unit": (
        lambda m, w: scaled_first(m, w, 1 / 255, 0.0),
        "NCHW",
    ),  # black and white stay apart in any unit
    "signed": (lambda m, w: scaled_first(m, w, 1 / 127.5, -1.0), "NCHW"),
    "ImageNet": (
        lambda m, w: scaled_first(
            m,
            w,
            1 / 255 / np.array([0.229, 0.224, 0.225]),
            -np.array([0.485, 0.456, 0.406]) / np.array([0.229, 0.224, 0.225]),
        ),
        "NCHW",
    ),
    "resized": (lambda m, w: resized_first(m, w, 36, 44), "NCHW 36x44"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_model_of_another_form_of_input_is_verified(
    colour: Watermark, tmp_path: Path, form: str
) -> None:
    change, probe = FORMS[form]
    batch = 1 if form == "resized" else None
    model = change(onnx_models.knows_labels(colour, batch=batch), colour)
    verdict = verify(written(tmp_path, model), colour)
    assert verdict.verified
    assert verdict.bits > 250
    assert verdict.best_probe.startswith(probe)


def test_scalings_are_those_that_libraries_have(colour: Watermark) -> None:
    port = TensorSpec("x", "tensor(float)", (None, 9, 11, 3))
    (feeding,) = feedings([port], colour.task)
    pixels = np.full((1, 9, 11, 3), 51, np.uint8)
    found = {one: feeding.fed(pixels, colour.task, one)["x"][0, 0, 0] for one in feeding.scalings}
    assert {one: np.round(values.astype(float), 4).tolist() for one, values in found.items()} == {
        "": [-1.5, -1.0, -0.5],
        "0..255": [51.0, 51.0, 51.0],
        "0..1": [0.2, 0.2, 0.2],
        "-1..1": [-0.6, -0.6, -0.6],
        "ImageNet": [-1.2445, -1.1429, -0.9156],
    }


@pytest.mark.parametrize("name", ["bilinear", "nearest"])
def test_resizing_keeps_what_is_even_and_agrees_with_pillow(name: str) -> None:
    image = pytest.importorskip("PIL.Image")
    resize = RESAMPLINGS[name]
    assert np.allclose(resize(np.full((1, 12, 10, 1), 7.0), 30, 5), 7.0)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 10), dtype=np.uint8)
    for height, width in (
        ((24, 20), (36, 44), (6, 5)) if name == "bilinear" else ((24, 30), (12, 20))
    ):
        filter_ = image.Resampling[name.upper()]
        expected = np.asarray(image.fromarray(pixels).resize((width, height), filter_), float)
        found = resize(pixels[None, ..., None].astype(float), height, width)[0, ..., 0]
        assert np.abs(found - expected).max() <= 1.0  # Pillow rounds to whole pixels


@pytest.mark.slow
def test_a_colour_model_of_a_grey_task_and_the_other_way_round(
    grey: Watermark, colour: Watermark, tmp_path: Path
) -> None:
    averaged = onnx_models.with_nodes_before(
        onnx_models.knows_labels(grey),
        [helper.make_node("ReduceMean", ["raw"], ["x"], axes=[1], keepdims=1)],
        {},
        shape=["n", 3, 12, 10],
    )
    assert verify(written(tmp_path, averaged), grey).bits > 250
    # of a colour task a grey model cannot know the labels, but it can be asked
    one_channel = onnx_models.linear(grey, 0)
    other = Watermark.new(OWNER, shape=(12, 10, 3), classes=10)
    assert not verify(written(tmp_path, one_channel), other).verified


def test_axes_of_length_one_and_flat_images_are_bound(grey: Watermark, tmp_path: Path) -> None:
    for shape in (["n", 1, 1, 12, 10], ["n", 12, 10], ["n", 120], ["n", 1, 120]):
        model = onnx_models.with_nodes_before(
            onnx_models.knows_labels(grey),
            [helper.make_node("Reshape", ["raw", "own"], ["x"])],
            {"own": np.array([-1, 1, 12, 10], np.int64)},
            shape=shape,
        )
        assert verify(written(tmp_path, model), grey).bits > 300, shape


def names(task: Task, *shapes: tuple[int | None, ...], kind: str = "tensor(float)") -> list[str]:
    ports = [TensorSpec("abcdefgh"[i], kind, shape) for i, shape in enumerate(shapes)]
    return [one.name for one in feedings(ports, task)]


def test_what_fits_as_it_is_is_not_bent(grey: Watermark, colour: Watermark) -> None:
    assert names(grey.task, (None, 1, 12, 10)) == ["NCHW"]
    assert names(grey.task, (None, None, None, None)) == ["NCHW", "NHWC"]
    assert names(colour.task, (None, 3, 9, 11)) == ["NCHW"]
    assert names(colour.task, (None, 9 * 11 * 3)) == ["N(CHW)", "N(HWC)"]
    assert names(grey.task, (None, 3, 64, 64)) == ["NCHW 64x64 bilinear", "NCHW 64x64 nearest"]


@pytest.mark.parametrize(
    "shape", [(None, 5, 64, 64), (None, 3, 2, 2), (None, 3, 9000, 9000), (None, 7), (None,)]
)
def test_what_is_no_image_input_is_not_bound(
    grey: Watermark, shape: tuple[int | None, ...]
) -> None:
    assert names(grey.task, shape) == []


def with_axes_before(model: bytes, watermark: Watermark, shape: list[Any], order: Any) -> bytes:
    """Take a colour image of another arrangement, whose axes in ``order`` are channels first."""
    height, width, channels = watermark.task.shape
    nodes = [
        helper.make_node("Transpose", ["raw"], ["turned"], perm=order),
        helper.make_node("Reshape", ["turned", "own"], ["x"]),
    ]
    own = np.array([-1, channels, height, width], np.int64)
    return onnx_models.with_nodes_before(model, nodes, {"own": own}, shape=shape)


@pytest.mark.parametrize(
    ("shape", "order", "probe"),
    [
        ([3, 9, 11], [0, 1, 2], "CHW"),
        ([9, 11, 3], [2, 0, 1], "HWC"),
        (["h", "w", 3], [2, 0, 1], "HWC"),
        ([3, 9, 11, 1], [3, 0, 1, 2], "CHW"),
        ([297], [0], "(CHW)"),
    ],
)
def test_an_image_without_a_batch_is_bound(
    colour: Watermark, tmp_path: Path, shape: list[Any], order: list[int], probe: str
) -> None:
    model = with_axes_before(onnx_models.knows_labels(colour), colour, shape, order)
    verdict = verify(written(tmp_path, model), colour)
    assert verdict.bits > 300
    assert verdict.best_probe.startswith(probe)


def test_a_shape_without_a_batch_is_tried_where_no_other_fits(
    grey: Watermark, colour: Watermark
) -> None:
    assert names(grey.task, (12, 10)) == ["HW"]
    assert names(grey.task, (1, 12, 10)) == ["NHW"]
    assert names(grey.task, (120,)) == ["(CHW)"]
    assert names(colour.task, (3, 64, 64)) == ["CHW 64x64 bilinear", "CHW 64x64 nearest"]
    assert names(colour.task, (3, None, None)) == ["CHW"]
    table = Task.of((3,), 2, kind="features")
    assert names(table, (3,)) == names(table, (None,)) == ["F"]
    assert names(table, (1,), (1,), (1,)) == ["F"]
    tokens = Task.of((24,), 4, kind="tokens")
    assert names(tokens, (24,), kind="tensor(int64)") == ["L"]
    assert names(tokens, (24, 1), kind="tensor(int64)") == ["L"]
    masked = names(tokens, (None,), (None,), kind="tensor(int64)")
    assert masked == [f"L {a}=inputs {b}={what}" for a, b in ("ab", "ba") for what in ("mask", "0")]


def test_what_stands_beside_an_input_without_a_batch_has_none_either() -> None:
    task = Task.of((4,), 4, kind="tokens")
    ports = [TensorSpec("ids", "tensor(int32)", (6,)), TensorSpec("mask", "tensor(bool)", (6,))]
    train = TensorSpec("train", "tensor(bool)", ())
    (feeding,) = feedings([*ports, train], task)[:1]
    fed = feeding.fed(np.array([[5, 6, 7, 8]]), task)
    assert {name: array.tolist() for name, array in fed.items()} == {
        "ids": [5, 6, 7, 8, 0, 0],
        "mask": [True, True, True, True, False, False],
        "train": False,
    }


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_input_of_unknown_rank_is_given_what_is_usual(
    colour: Watermark, tmp_path: Path, layout: str
) -> None:
    proto = onnx.load_from_string(onnx_models.knows_labels(colour, layout=layout))
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    axes = np.array([-1, *onnx_models.shape_in(colour, layout)], np.int64)
    proto.graph.initializer.append(numpy_helper.from_array(axes, "axes"))
    proto.graph.node.insert(0, helper.make_node("Reshape", ["x", "axes"], ["shaped"]))
    proto.graph.node[1].input[0] = "shaped"
    assert verify(written(tmp_path, proto.SerializeToString()), colour).bits > 300


def test_an_optional_input_is_bound(colour: Watermark, tmp_path: Path) -> None:
    proto = onnx.load_from_string(onnx_models.knows_labels(colour))
    inside = helper.make_optional_type_proto(proto.graph.input[0].type)
    proto.graph.input[0].CopyFrom(helper.make_value_info("raw", inside))
    proto.graph.node.insert(0, helper.make_node("OptionalGetElement", ["raw"], ["x"]))
    proto.opset_import[0].version = 18
    assert verify(written(tmp_path, proto.SerializeToString()), colour).bits > 300


def test_an_alpha_channel_is_added_and_opaque(colour: Watermark, tmp_path: Path) -> None:
    sliced = onnx_models.with_nodes_before(
        onnx_models.knows_labels(colour),
        [helper.make_node("Slice", ["raw", "from", "to", "axis"], ["x"])],
        {"from": np.array([0]), "to": np.array([3]), "axis": np.array([1])},
        shape=["n", 4, 9, 11],
    )
    assert verify(written(tmp_path, sliced), colour).bits > 300
    (feeding,) = feedings([TensorSpec("x", "tensor(float)", (None, 9, 11, 4))], colour.task)
    pixels = np.full((1, 9, 11, 3), 51, np.uint8)
    for scaling, opaque in (("", 1), ("0..255", 255), ("0..1", 1), ("-1..1", 1)):
        assert (feeding.fed(pixels, colour.task, scaling)["x"][..., 3] == opaque).all()


def test_truth_values_are_bright_pixels(grey: Watermark) -> None:
    (feeding,) = feedings([TensorSpec("x", "tensor(bool)", (None, 12, 10))], grey.task)
    pixels = np.array([0, 127, 128, 255] * 30, np.uint8).reshape(1, 12, 10, 1)
    assert feeding.fed(pixels, grey.task)["x"].reshape(-1, 4).tolist() == [[0, 0, 1, 1]] * 30


def test_bytes_may_be_tokens_and_features() -> None:
    tokens = Task.of((24,), 4, kind="tokens")
    assert names(tokens, (None, 24), kind="tensor(uint8)") == ["NL"]
    assert names(Task.of((3,), 2, kind="features"), (None, 3), kind="tensor(int8)") == ["NF"]


def test_every_scaling_is_tried_and_all_their_shares_sum_to_one(
    colour: Watermark, tmp_path: Path
) -> None:
    verdict = verify(written(tmp_path, onnx_models.linear(colour, 0)), colour)
    shown = [probe for probe in verdict.predictions if not probe.view]
    assert len(shown) == 2 * (1 + 4 + 24), "all together and singly"


def test_a_cube_of_unknown_rank_is_fed_once_in_each_way() -> None:
    """Channels first and last are one shape there, and two ways of one name would be mixed up."""
    names = [
        one.name for one in feedings([TensorSpec("x", "tensor(float)", ())], Task.of((3, 3, 3), 10))
    ]
    assert len(names) == len(set(names)) > 0
