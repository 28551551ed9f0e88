"""Whatever form a model takes its inputs and gives its answers in, the mark is found in it."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from support import onnx_models

from wmx import CannotRunError, OwnerKey, UsageError, Watermark, open_suspect, verify
from wmx.protocol.task import Task
from wmx.suspect.inputs import feedings
from wmx.suspect.overrides import Overrides
from wmx.suspect.pixels import RESAMPLINGS
from wmx.suspect.policy.onnx_rules import MAX_PORTS
from wmx.suspect.types import TensorSpec
from wmx.triggers.features import Features
from wmx.triggers.tokens import Tokens

OWNER = OwnerKey.generate()


@pytest.fixture(scope="module")
def grey() -> Watermark:
    return Watermark.new(OWNER, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)


@pytest.fixture(scope="module")
def colour() -> Watermark:
    return Watermark.new(OWNER, shape=(9, 11, 3), classes=10, mean=(0.5, 0.4, 0.3), std=0.2)


def written(folder: Path, model: bytes) -> Path:
    path = folder / "suspect.onnx"
    path.write_bytes(model)
    return path


# What a model takes.


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


def test_inputs_whose_names_are_like_words_of_a_feeding_hide_no_other() -> None:
    """A thief names the input that is not looked at such that both are fed under one name."""
    tokens = Task.of((24,), 4, kind="tokens")
    ports = [TensorSpec(name, "tensor(int64)", (None, 24)) for name in ("a", "a=inputs a")]
    found = feedings(ports, tokens)
    assert [one.input for one in found] == ["a", "a", "a=inputs a", "a=inputs a"]
    assert len({one.name for one in found}) == 4
    assert found[0].name == 'NL a=inputs "a=inputs a"=mask'


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
    assert verdict.probes_tried == 1 + 4 + 24


# Inputs beside the one for the triggers.


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
    watermark = Watermark.for_task(OWNER, task, generator=Features.of(quantiles))
    inside = onnx_models.with_nodes_before(
        onnx_models.knows_labels(watermark),
        [helper.make_node("Sub", ["raw", "m"], ["c"]), helper.make_node("Div", ["c", "s"], ["x"])],
        {"m": np.float32(5), "s": np.float32(3)},
    )
    verdict = verify(written(tmp_path, inside), watermark)
    assert verdict.verified
    assert "raw" in verdict.best_probe


# What a model gives.


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
        assert not verify(suspect, grey).verified
    with closing(open_suspect(path, overrides=Overrides(output="y"))) as suspect:
        verdict = verify(suspect, grey)
    both = verify(path, grey)
    assert verdict.verified
    assert verdict.bits == pytest.approx(both.bits + 1 - 16)  # both outputs share the mixture


def test_a_cube_of_unknown_rank_is_fed_once_in_each_way() -> None:
    """Channels first and last are one shape there, and two ways of one name would be mixed up."""
    names = [
        one.name for one in feedings([TensorSpec("x", "tensor(float)", ())], Task.of((3, 3, 3), 10))
    ]
    assert len(names) == len(set(names)) > 0
