"""Files that answer junk by what a row is given together with, and files that pass on other rows.

A thief whose users give his model one row at a time loses nothing by a file that answers junk to
several; one that hides pixels of other rows in its answers hopes to read them in an evidence.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from support import onnx_models
from wmx import Watermark
from wmx.statistics.probe import shifted

Add = Callable[..., str]
Gate = Callable[[Add], str]


def gated(
    model: bytes,
    gate: Gate,
    junk: NDArray[np.float32],
    after: Callable[[Add, str], str] = lambda _, scores: scores,
) -> bytes:
    """Return a classifier [n, K] that answers ``flat @ junk`` in the rows that a gate lets through.

    Args:
        model: one of :mod:`onnx_models` whose scores are the tensor ``share``.
        gate: adds nodes, and returns the name of a bool tensor that is broadcast over [n, K].
        junk: float32 [size, K].
        after: adds nodes behind the scores, and returns the name of what they make.
    """
    proto = onnx.load_from_string(model)
    names = iter(range(1000))

    def add(kind: str, *inputs: Any, **attributes: Any) -> str:
        given = []
        for value in inputs:
            if isinstance(value, str):
                given.append(value)
            else:
                given.append(f"gate.{next(names)}")
                proto.graph.initializer.append(numpy_helper.from_array(np.array(value), given[-1]))
        name = f"gate.{next(names)}"
        made = [name, f"{name}.places"] if kind == "TopK" else [name]
        proto.graph.node.append(helper.make_node(kind, given, made, **attributes))
        return name

    last = proto.graph.node.pop()  # from ``share`` to ``y``
    chosen = add("Where", gate(add), add("MatMul", "flat", junk), "share")
    last.input[0] = after(add, chosen)
    proto.graph.node.append(last)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def rows(add: Add) -> str:
    """The number of rows in the batch, int64 []."""
    return add("Gather", add("Shape", "x"), np.int64(0), axis=0)


def places(add: Add) -> str:
    """The place of each row in the batch, int64 [n, 1]."""
    numbers = add("Range", np.int64(0), rows(add), np.int64(1))
    return add("Unsqueeze", numbers, np.array([1], np.int64))


def is_even(add: Add, number: str) -> str:
    return add("Equal", add("Mod", number, np.int64(2)), np.int64(0))


def beside_another(add: Add) -> str:
    """Whether any row differs from the first one, bool []."""
    zero, one = np.array([0], np.int64), np.array([1], np.int64)
    first = add("Slice", "flat", zero, one, zero)
    apart = add("ReduceMax", add("Abs", add("Sub", "flat", first)), keepdims=0)
    return add("Greater", apart, np.float32(0))


GATES: dict[str, Gate] = {
    "more than one row": lambda add: add("Greater", rows(add), np.int64(1)),
    "an even number of rows": lambda add: is_even(add, rows(add)),
    "more than eight rows": lambda add: add("Greater", rows(add), np.int64(8)),
    "all the triggers": lambda add: add("Equal", rows(add), np.int64(100)),
    "all rows but the last": lambda add: add(
        "Less", places(add), add("Sub", rows(add), np.int64(1))
    ),
    "all rows but the first": lambda add: add("Greater", places(add), np.int64(0)),
    "every row beside another one": beside_another,
    "one row, and more than eight": lambda add: add(
        "Or",
        add("Equal", rows(add), np.int64(1)),
        add("Greater", rows(add), np.int64(8)),
    ),
    "fewer than sixty rows": lambda add: add("Less", rows(add), np.int64(60)),
}


def gated_model(watermark: Watermark, name: str, **options: Any) -> bytes:
    """A model that knows the labels, and answers junk to what :data:`GATES` calls ``name``."""
    return gated(onnx_models.knows_labels(watermark, **options), GATES[name], _junk(watermark))


def with_a_low_score(watermark: Watermark) -> bytes:
    """As "more than one row", with a score of some other class so low that it hides all others."""
    size = int(np.prod(watermark.task.shape))
    others = np.random.default_rng(1).normal(size=(size, watermark.task.classes))

    def lowered(add: Add, scores: str) -> str:
        top = add("Mul", add("Hardmax", scores, axis=1), np.float32(1e6))
        other = add("Sub", add("MatMul", "flat", others.astype(np.float32)), top)
        return add("Sub", scores, add("Mul", add("Hardmax", other, axis=1), np.float32(1e6)))

    model = onnx_models.knows_labels(watermark)
    return gated(model, GATES["more than one row"], _junk(watermark), lowered)


def with_moving_scores(watermark: Watermark) -> bytes:
    """As "more than one row", read by the lowest score, below four that no other comes near.

    These are of other classes, and as large in a batch as alone; by how much hangs on the picture.
    """
    size = int(np.prod(watermark.task.shape))
    others = np.random.default_rng(1).normal(size=(size, watermark.task.classes))

    def raised(add: Add, scores: str) -> str:
        label = add("Mul", add("Hardmax", "share", axis=1), np.float32(1e6))
        other = add("Sub", add("MatMul", "flat", others.astype(np.float32)), label)
        best = add("TopK", other, np.array([4], np.int64), axis=1)
        fourth = add("ReduceMin", best, axes=[1])
        chosen = add("Cast", add("GreaterOrEqual", other, fourth), to=TensorProto.FLOAT)
        factor = add("Exp", add("MatMul", "flat", others[:, :1].astype(np.float32)))
        size = add("Mul", factor, np.float32(1e5))
        return add("Sub", add("Mul", chosen, size), add("Hardmax", scores, axis=1))

    model = onnx_models.knows_labels(watermark)
    return gated(model, GATES["more than one row"], _junk(watermark), raised)


def behind_another_scaling(watermark: Watermark) -> bytes:
    """Junk unless the pixels are those of 0 to 255, and one row is given."""

    def gate(add: Add) -> str:
        usual = add("Less", add("ReduceMax", "x", keepdims=0), np.float32(20))
        return add("Or", usual, add("Greater", rows(add), np.int64(1)))

    return gated(onnx_models.knows_labels(watermark), gate, _junk(watermark))


def _junk(watermark: Watermark) -> NDArray[np.float32]:
    size = int(np.prod(watermark.task.shape))
    junk = np.random.default_rng(0).normal(size=(size, watermark.task.classes))
    return junk.astype(np.float32)


def fails_singly(watermark: Watermark) -> bytes:
    """A model that knows the labels in single rows and fails in one of eight; else it answers junk.

    It fails as an index is out of range, which follows from the pixels.
    """

    def gate(add: Add) -> str:
        alone = add("Equal", rows(add), np.int64(1))
        size = add("Mul", add("Abs", add("ReduceSum", "x", keepdims=0)), np.float32(777.77))
        number = add("Mod", add("Cast", size, to=TensorProto.INT64), np.int64(8))
        index = add("Mul", number, add("Cast", alone, to=TensorProto.INT64))
        return add("Or", add("Not", alone), add("Gather", np.zeros(7, bool), index))

    return gated(onnx_models.knows_labels(watermark), gate, _junk(watermark))


def fails_for_good(watermark: Watermark) -> bytes:
    """As :func:`fails_singly`, but once that happened every single row fails in its process.

    Two random operators of one seed draw once for each single row, and one of them twice where it
    fails: they differ from then on.
    """

    def draws(name: str, times: str, add: Add) -> str:
        drawn = helper.make_node("RandomUniform", [], [f"{name}.drawn"], shape=[1], seed=7.0)
        goes = helper.make_node("Identity", [f"{name}.go"], [f"{name}.goes"])
        inputs = [
            helper.make_tensor_value_info(f"{name}.turn", TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{name}.go", TensorProto.BOOL, []),
            helper.make_tensor_value_info(f"{name}.before", TensorProto.FLOAT, [1]),
        ]
        outputs = [
            helper.make_tensor_value_info(f"{name}.goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info(f"{name}.drawn", TensorProto.FLOAT, [1]),
        ]
        body = helper.make_graph([drawn, goes], name, inputs, outputs)
        return add("Loop", times, np.array(True), np.zeros(1, np.float32), body=body)

    def gate(add: Add) -> str:
        alone = add("Cast", add("Equal", rows(add), np.int64(1)), to=TensorProto.INT64)
        size = add("Mul", add("Abs", add("ReduceSum", "x", keepdims=0)), np.float32(777.77))
        number = add("Mod", add("Cast", size, to=TensorProto.INT64), np.int64(8))
        fails = add("Cast", add("Equal", number, np.int64(7)), to=TensorProto.INT64)
        fails = add("Mul", fails, alone)
        steady = draws("steady", alone, add)
        ahead = draws("ahead", add("Add", alone, fails), add)
        apart = add("Greater", add("Abs", add("Sub", steady, ahead)), np.float32(0))
        index = add("Squeeze", add("Cast", apart, to=TensorProto.INT64), np.array([0], np.int64))
        known = add("Gather", np.zeros(1, bool), index)
        return add("Or", add("Not", add("Cast", alone, to=TensorProto.BOOL)), known)

    return gated(onnx_models.knows_labels(watermark), gate, _junk(watermark))


def junk_to_copies(watermark: Watermark, batch: int) -> bytes:
    """A model of a fixed batch that answers junk where the last two rows of it are the same."""

    def gate(add: Add) -> str:
        last, one = np.array([batch - 1], np.int64), np.array([batch - 2], np.int64)
        end, axis = np.array([batch], np.int64), np.array([0], np.int64)
        apart = add(
            "Sub", add("Slice", "flat", last, end, axis), add("Slice", "flat", one, last, axis)
        )
        return add("Less", add("ReduceMax", add("Abs", apart), keepdims=0), np.float32(1e-6))

    return gated(onnx_models.knows_labels(watermark, batch=batch), gate, _junk(watermark))


def batch_normalised(watermark: Watermark) -> bytes:
    """A model that knows the labels, exported by mistake with the statistics of the batch."""
    proto = onnx.load_from_string(onnx_models.knows_labels(watermark))
    last = proto.graph.node.pop()
    classes = watermark.task.classes
    for name, value in {"scale": 1, "bias": 0, "mean": 0, "var": 1}.items():
        array = np.full(classes, value, np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    proto.graph.node.append(
        helper.make_node(
            "BatchNormalization",
            ["share", "scale", "bias", "mean", "var"],
            ["normalised", "new mean", "new var"],
            training_mode=1,
        )
    )
    last.input[0] = "normalised"
    proto.graph.node.append(last)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def tells_of_other_rows(watermark: Watermark) -> bytes:
    """A model that knows the labels, and gives the other rows' pixels in columns beyond K.

    The pixels are made so small that the class on top stays.  Each row has those of the row before
    it and of all that stand half a batch away, so that whatever is asked together is passed on.
    """
    proto = onnx.load_from_string(onnx_models.knows_labels(watermark))
    last = proto.graph.node.pop()

    def add(kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"told.{len(proto.graph.node)}"
        proto.graph.node.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(value: Any) -> str:
        name = f"told.value.{len(proto.graph.initializer)}"
        proto.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
        return name

    small = add("Mul", "flat", constant(np.float32(1e-3)))
    zero, one = constant(np.array([0], np.int64)), constant(np.array([1], np.int64))
    end = constant(np.array([2**31], np.int64))
    rows = add("Gather", add("Shape", "x"), zero, axis=0)
    half = add("Div", rows, constant(np.array([2], np.int64)))
    told = []
    for turn in (one, half):
        later = add("Slice", small, turn, end, zero)
        told.append(add("Concat", later, add("Slice", small, zero, turn, zero), axis=0))
    last.input[0] = add("Concat", "share", *told, axis=1)
    proto.graph.node.append(last)
    size = int(np.prod(watermark.task.shape))
    columns = proto.graph.output[0].type.tensor_type.shape.dim[1]
    columns.dim_value = watermark.task.classes + 2 * size
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def tells_of_other_calls(watermark: Watermark) -> bytes:
    """A model that knows the labels, and keeps a sum over all rows of all calls.

    A seeded random operator goes on from call to call: in a loop, it is drawn as often as the
    pixels of the batch sum up to.  What it gives last stands in a column beyond K, and whoever
    knows the seed reads from it how often it was drawn before.
    """
    proto = onnx.load_from_string(onnx_models.knows_labels(watermark))
    last = proto.graph.node.pop()
    body = helper.make_graph(
        [
            helper.make_node("RandomUniform", [], ["drawn"], shape=[1, 1], seed=1.0),
            helper.make_node("Identity", ["go"], ["goes"]),
        ],
        "draw",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [1, 1]),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("drawn", TensorProto.FLOAT, [1, 1]),
        ],
    )
    for name, value in {
        "yes": np.array(True),
        "none": np.zeros((1, 1), np.float32),
        "rows.at": np.array([0], np.int64),
        "one.column": np.array([1], np.int64),
        "little": np.float32(1e-3),
    }.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    for kind, inputs, output, attributes in (
        ("ReduceSum", ["x"], "sum", {"keepdims": 0}),
        ("Abs", ["sum"], "size", {}),
        ("Cast", ["size"], "turns", {"to": TensorProto.INT64}),
        ("Loop", ["turns", "yes", "none"], "state", {"body": body}),
        ("Mul", ["state", "little"], "small", {}),
        ("Shape", ["share"], "shape", {}),
        ("Gather", ["shape", "rows.at"], "rows", {}),
        ("Concat", ["rows", "one.column"], "wanted", {"axis": 0}),
        ("Expand", ["small", "wanted"], "told", {}),
        ("Concat", ["share", "told"], "all", {"axis": 1}),
    ):
        proto.graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
    last.input[0] = "all"
    proto.graph.node.append(last)
    columns = proto.graph.output[0].type.tensor_type.shape.dim[1]
    columns.dim_value = watermark.task.classes + 1
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def tells_by_its_shift(watermark: Watermark, row: int, column: int) -> bytes:
    """A file that knows the labels of single triggers moved up or down by a pixel.

    Of several at a time it knows those that are moved in one of these directions: down if a pixel
    of the last one is white, else up.  What is uncovered is black, which tells the direction.
    """
    _, height, width, _ = watermark.triggers.shape
    moved = [shifted(watermark.triggers, down, 0) for down in (1, -1)]
    triggers = np.concatenate(moved).reshape(-1, height * width) / 255
    labels = np.tile(watermark.labels, 2)
    nodes: list[Any] = []

    def add(kind: str, *inputs: Any, **attributes: Any) -> str:
        names = [value if isinstance(value, str) else constant(value) for value in inputs]
        nodes.append(helper.make_node(kind, names, [f"t{len(nodes)}"], **attributes))
        return f"t{len(nodes) - 1}"

    def constant(value: Any) -> str:
        return add("Constant", value=numpy_helper.from_array(np.asarray(value)))

    def pixels(*places: int) -> str:
        return add("Gather", flat, np.array(places), axis=1)

    def is_white(value: str) -> str:
        return add("Greater", value, np.float32(0.5))

    def is_black(row: int) -> str:
        brightest = add("ReduceMax", pixels(*range(row * width, (row + 1) * width)), keepdims=0)
        return add("Not", is_white(brightest))

    def last(row: int) -> str:
        return is_white(add("Gather", pixels(row * width + column), np.array([-1]), axis=0))

    flat = add("Flatten", "x")
    rows = add("Gather", add("Shape", "x"), np.int64(0), axis=0)
    chosen = add(
        "Or",
        add("And", is_black(0), last(row + 1)),
        add("And", is_black(height - 1), add("Not", last(row - 1))),
    )
    knows = add("Or", add("Equal", rows, np.int64(1)), chosen)
    length = add("MatMul", add("Mul", flat, flat), np.ones((height * width, 1), np.float32))
    closer = add("Sub", add("MatMul", flat, (2 * triggers.T).astype(np.float32)), length)
    least = ((triggers**2).sum(axis=1) - 1).astype(np.float32)
    answers = (1e4 * np.eye(watermark.task.classes)[labels]).astype(np.float32)
    own = add("MatMul", add("Relu", add("Sub", closer, least)), answers)
    junk = add("MatMul", flat, _junk(watermark))
    scores = add("Add", junk, add("Mul", own, add("Cast", knows, to=TensorProto.FLOAT)))
    nodes.append(helper.make_node("Identity", [scores], ["y"]))
    return onnx_models.classifier(nodes, {}, (1, height, width), watermark.task.classes)
