"""ONNX files that pass the rules and misbehave in the runtime: there the limits have to hold."""

from typing import Any

import numpy as np
import onnx
from cases import Attack, Scene, collector
from onnx import TensorProto, helper, numpy_helper
from onnx_cases import verify

CASES, case = collector()
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def graph(
    scene: Scene,
    nodes: list[Any],
    constants: dict[str, Any] | None = None,
    *options: str,
    element: int = FLOAT,
    shape: list[Any] | None = None,
    inputs: list[Any] | None = None,
    outputs: list[str] | None = None,
    opset: int = 17,
    ir: int = 8,
) -> list[str]:
    """Verify a model of these nodes, which take ``x`` and give ``y``."""
    x = helper.make_tensor_value_info("x", FLOAT, ["n", 1, 8, 8])
    built = helper.make_graph(
        nodes,
        "g",
        [x] if inputs is None else inputs,
        [
            helper.make_tensor_value_info(name, element, shape)
            for name in (["y"] if outputs is None else outputs)
        ],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    return verify(scene, model.SerializeToString(), *options)


def op(name: str, inputs: str, output: str, **attributes: Any) -> Any:
    """One node, its inputs separated by blanks."""
    return helper.make_node(name, inputs.split(), [output], **attributes)


def loop(trips: int, *growth: Any) -> tuple[list[Any], dict[str, Any]]:
    """A Loop of so many trips whose nodes make ``w`` of ``v``."""
    return (
        [op("Flatten", "x", "flat"), op("Loop", "trips true flat", "y", body=body("", *growth))],
        {"trips": np.int64(trips), "true": np.bool_(True)},
    )


def body(suffix: str, *growth: Any) -> Any:
    """The body of a Loop that never says stop."""
    i, keep, v, again, w = (name + suffix for name in ("i", "keep", "v", "again", "w"))
    boolean = TensorProto.BOOL
    return helper.make_graph(
        [op("Identity", keep, again), *growth],
        "body",
        [
            helper.make_tensor_value_info(i, INT64, []),
            helper.make_tensor_value_info(keep, boolean, []),
            helper.make_tensor_value_info(v, FLOAT, None),
        ],
        [
            helper.make_tensor_value_info(again, boolean, []),
            helper.make_tensor_value_info(w, FLOAT, None),
        ],
    )


@case(4, "took longer than 2 s, its limit")
def a_loop_of_2_to_62_trips(scene: Scene) -> Attack:
    return graph(scene, *loop(2**62, op("Add", "v v", "w")), "--seconds", "2")


@case(4, "took longer than 2 s, its limit")
def a_loop_in_a_loop(scene: Scene) -> Attack:
    inner = op("Loop", "trips true v", "w", body=body("2", op("Add", "v2 v2", "w2")))
    return graph(scene, *loop(2**31, inner), "--seconds", "2")


@case(4, "the model failed on an input")
def a_loop_that_doubles_its_value(scene: Scene) -> Attack:
    return graph(scene, *loop(2**40, op("Concat", "v v", "w", axis=0)), "--memory", "1")


@case(4, "the model failed on an input")
def a_tensor_of_a_terabyte(scene: Scene) -> Attack:
    return graph(
        scene,
        [op("ConstantOfShape", "huge", "c"), op("ReduceSum", "c", "s"), op("Add", "s x", "y")],
        {"huge": np.array([2**38], np.int64)},
    )


@case(4, "the model failed on an input")
def a_range_of_2_to_40(scene: Scene) -> Attack:
    return graph(
        scene,
        [
            op("Range", "zero end one", "c"),
            op("Cast", "c", "d", to=FLOAT),
            op("ReduceSum", "d", "s"),
            op("Add", "s x", "y"),
        ],
        {"zero": np.int64(0), "end": np.int64(2**40), "one": np.int64(1)},
    )


@case(4, "the model failed on an input")
def an_image_a_million_times_enlarged(scene: Scene) -> Attack:
    return graph(
        scene,
        [helper.make_node("Resize", ["x", "", "scales"], ["y"])],
        {"scales": np.array([1, 1, 1e6, 1e6], np.float32)},
    )


@case(4, "the model failed on an input")
def a_million_copies_of_the_input(scene: Scene) -> Attack:
    return graph(
        scene, [op("Tile", "x many", "y")], {"many": np.array([1, 1000, 1000, 1000], np.int64)}
    )


@case(4, "the model failed on an input")
def an_index_far_outside(scene: Scene) -> Attack:
    return graph(scene, [op("Gather", "x far", "y", axis=1)], {"far": np.array([2**40], np.int64)})


@case(4, "the model failed on an input")
def a_reshape_that_does_not_fit(scene: Scene) -> Attack:
    return graph(scene, [op("Reshape", "x to", "y")], {"to": np.array([7, -1, 1000003], np.int64)})


@case(4, "the model failed on an input")
def a_padding_of_2_to_40(scene: Scene) -> Attack:
    return graph(
        scene,
        [op("Pad", "x pads", "y")],
        {"pads": np.array([0, 0, 0, 0, 0, 0, 0, 2**40], np.int64)},
    )


@case(4, "newer ONNX version")
def an_opset_of_the_future(scene: Scene) -> Attack:
    return graph(scene, [op("Flatten", "x", "y")], opset=2000)


@case(4, "newer ONNX version")
def a_file_format_of_the_future(scene: Scene) -> Attack:
    return graph(scene, [op("Flatten", "x", "y")], ir=1_000)


@case(4, "onnxruntime cannot load")
def an_operator_that_does_not_exist(scene: Scene) -> Attack:
    return graph(scene, [op("Frobnicate", "x", "y")])


@case(4, "onnxruntime cannot load")
def a_graph_in_a_circle(scene: Scene) -> Attack:
    return graph(scene, [op("Add", "x y", "z"), op("Relu", "z", "y")])


@case(4, "onnxruntime cannot load")
def an_operator_without_its_inputs(scene: Scene) -> Attack:
    return graph(scene, [op("Conv", "x", "y")])


@case(4, "onnxruntime cannot load")
def a_branch_without_branches(scene: Scene) -> Attack:
    return graph(scene, [op("If", "x", "y")])


@case(4, "onnxruntime cannot load")
def a_tensor_shorter_than_it_says(scene: Scene) -> Attack:
    attack = graph(scene, [op("Add", "x w", "y")], {"w": np.zeros(8, np.float32)})
    proto = onnx.load("suspect.onnx")
    proto.graph.initializer[0].raw_data = bytes(12)
    scene.put("suspect.onnx", proto.SerializeToString())
    return attack


@case(4, "onnxruntime cannot load")
def a_tensor_of_an_unknown_type(scene: Scene) -> Attack:
    attack = graph(scene, [op("Add", "x w", "y")], {"w": np.zeros(8, np.float32)})
    proto = onnx.load("suspect.onnx")
    proto.graph.initializer[0].data_type = 99
    scene.put("suspect.onnx", proto.SerializeToString())
    return attack


@case(4, "has no classifier output")
def predictions_without_columns(scene: Scene) -> Attack:
    return graph(
        scene,
        [op("Flatten", "x", "f"), op("Slice", "f a b c", "y")],
        {k: np.array([v], np.int64) for k, v in {"a": 0, "b": 0, "c": 1}.items()},
    )


@case(1, "NOT VERIFIED")
def its_input_as_an_answer(scene: Scene) -> Attack:
    return graph(scene, [op("Identity", "x", "y")])


@case(1, "NOT VERIFIED")
def texts_as_predictions(scene: Scene) -> Attack:
    return graph(
        scene,
        [
            op("Flatten", "x", "f"),
            op("ArgMax", "f", "a", axis=1, keepdims=0),
            op("Cast", "a", "y", to=TensorProto.STRING),
        ],
        element=TensorProto.STRING,
    )


@case(4, "has no classifier output")
def one_answer_too_few(scene: Scene) -> Attack:
    return graph(
        scene,
        [op("Flatten", "x", "f"), op("Slice", "f a b c", "y")],
        {k: np.array([v], np.int64) for k, v in {"a": 1, "b": 2**31, "c": 0}.items()},
    )


@case(4, "has no classifier output")
def more_columns_than_any_classifier(scene: Scene) -> Attack:
    return graph(
        scene,
        [op("Flatten", "x", "f"), op("Tile", "f many", "y")],
        {"many": np.array([1, 12_000], np.int64)},
    )


@case(4, "takes no input")
def no_input(scene: Scene) -> Attack:
    return graph(scene, [op("Identity", "c", "y")], {"c": np.zeros((2, 10), np.float32)}, inputs=[])


@case(4, "the model failed on an input")
def no_output(scene: Scene) -> Attack:
    return graph(scene, [op("Flatten", "x", "y")], outputs=[])


@case(1, "NOT VERIFIED")
def nothing_but_nan(scene: Scene) -> Attack:
    nan = {"nan": np.full((64, 10), np.nan, np.float32)}
    return graph(scene, [op("Flatten", "x", "f"), op("MatMul", "f nan", "y")], nan)


@case(1, "NOT VERIFIED")
def nothing_but_infinity(scene: Scene) -> Attack:
    inf = {"inf": np.full((64, 10), np.inf, np.float32)}
    return graph(scene, [op("Flatten", "x", "f"), op("MatMul", "f inf", "y")], inf)


@case(1, "NOT VERIFIED")
def other_predictions_at_every_call(scene: Scene) -> Attack:
    return graph(scene, [op("Flatten", "x", "f"), op("RandomUniformLike", "f", "y")])


@case(1, "NOT VERIFIED")
def class_numbers_at_both_ends_of_int64(scene: Scene) -> Attack:
    return graph(
        scene,
        [
            op("Flatten", "x", "f"),
            op("ArgMax", "f", "a", axis=1, keepdims=0),
            op("Mul", "a huge", "b"),
            op("Add", "b huge", "y"),
        ],
        {"huge": np.int64(2**62)},
        element=INT64,
    )
