"""Nodes at the end of a marked model, as a thief could add them: the table of docs/suspects.md."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from support import onnx_models
from wmx import Watermark

CLASSES = 10
SHAPE = (12, 10, 1)
PIXELS = 120
SCALE = 21.0  # of the logit on top; the others scatter around 0
NAMES = ["cat", "dog", "owl", "7", "elk", "fox", "gnu", "hen", "yak", "ant"]

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
BOOL, STRING, UINT8 = TensorProto.BOOL, TensorProto.STRING, TensorProto.UINT8
ROW = ["n", CLASSES]


@dataclass(frozen=True)
class Ending:
    """What follows the logits ``s`` [n, 10] of a model whose flat input is ``flat`` [n, 120].

    Attributes:
        nodes: in their order.
        outputs: name, element and shape of each, or a value info.
        weights: constants by name.
        opset: of the operators.
    """

    nodes: list[Any]
    outputs: list[Any]
    weights: dict[str, Any]
    opset: int


READ: dict[str, Ending] = {}
NOT_READ: dict[str, Ending] = {}


def op(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """One node; names are separated by blanks."""
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def add(
    name: str,
    *nodes: Any,
    element: int = FLOAT,
    shape: Any = ROW,
    outputs: list[Any] | None = None,
    opset: int = 21,
    to: dict[str, Ending] = READ,
    **weights: Any,
) -> None:
    """Register an ending of one output ``y``, or of several."""
    described = [("y", element, shape)] if outputs is None else outputs
    to[name] = Ending(list(nodes), described, weights, opset)


def noise(columns: int) -> NDArray[np.float32]:
    """A matrix that makes large numbers of an input, which have nothing to do with its label."""
    drawn = np.random.default_rng(0).normal(0, 1e4, (PIXELS, columns))
    return drawn.astype(np.float32)


def rotation(seed: int) -> NDArray[np.float32]:
    """An orthogonal matrix."""
    drawn = np.random.default_rng(seed).normal(size=(CLASSES, CLASSES))
    return np.asarray(np.linalg.qr(drawn)[0].astype(np.float32))


def ended(watermark: Watermark, ending: Ending) -> bytes:
    """Return a model that knows the labels, and ends so."""
    proto = onnx.load_from_string(onnx_models.knows_labels(watermark))
    del proto.graph.node[-1], proto.graph.output[:], proto.opset_import[:]
    proto.graph.node.extend(
        [
            op("Mul", "share scale", "high"),
            op("MatMul", "flat others", "scattered"),
            op("Add", "high scattered", "s"),
            *ending.nodes,
        ]
    )
    for output in ending.outputs:
        described = isinstance(output, onnx.ValueInfoProto)
        proto.graph.output.append(output if described else helper.make_tensor_value_info(*output))
    others = np.random.default_rng(1).normal(0, 0.15, (PIXELS, CLASSES)).astype(np.float32)
    weights = {"scale": np.float32(SCALE), "others": others, **ending.weights}
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()
    )
    proto.opset_import.append(helper.make_opsetid("", ending.opset))
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 4))
    proto.ir_version = 10
    return proto.SerializeToString()


# Types.

for kind in (
    *("INT8", "INT16", "INT32", "INT64", "INT4", "FLOAT16", "BFLOAT16", "DOUBLE", "STRING"),
    *("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"),
):
    number = getattr(TensorProto, kind)
    add(f"scores cast to {kind.lower()}", op("Cast", "s", "y", to=number), element=number)
for function, kinds in (
    ("Relu", ("UINT8", "UINT16", "UINT32", "UINT64", "FLOAT8E8M0")),
    ("Hardmax", ("UINT4", "INT2", "UINT2", "BOOL")),
):
    for kind in kinds:
        number = getattr(TensorProto, kind)
        add(
            f"{function.lower()} cast to {kind.lower()}",
            op(function, "s", "r"),
            op("Cast", "r", "y", to=number),
            element=number,
            opset=25,
        )
add("scores above a bound", op("Greater", "s bound", "y"), element=BOOL, bound=np.float32(10))
add("bits as integers", op("BitCast", "s", "y", to=INT32), element=INT32, opset=26)
add("quantised", op("DynamicQuantizeLinear", "s", "y step zero"), element=UINT8)
add(
    "integers beyond 2^53",
    op("Cast", "s", "i", to=INT64),
    op("Add", "i offset", "y"),
    element=INT64,
    offset=np.int64(2**62),
)
add(
    "integers beyond 2^63",
    op("Relu", "s", "r"),
    op("Cast", "r", "i", to=TensorProto.UINT64),
    op("Add", "i offset", "y"),
    element=TensorProto.UINT64,
    offset=np.uint64(2**64 - 2**20),
)
for kind in ("BFLOAT16", "INT4", "FLOAT8E5M2"):
    number = getattr(TensorProto, kind)
    add(
        f"{kind.lower()} beside the scores",
        op("Identity", "s", "y"),
        op("Cast", "s", "odd", to=number),
        outputs=[("odd", number, ROW), ("y", FLOAT, ROW)],
    )

# Arrangement.

add("an axis between", op("Unsqueeze", "s a", "y"), shape=["n", 1, CLASSES], a=np.array([1]))
add("an axis in front", op("Unsqueeze", "s a", "y"), shape=[1, "n", CLASSES], a=np.array([0]))
add("axes behind", op("Unsqueeze", "s a", "y"), shape=[*ROW, 1, 1], a=np.array([2, 3]))
add("transposed", op("Transpose", "s", "y"), shape=[CLASSES, "n"])
add("flattened", op("Reshape", "s dims", "y"), shape=[None], dims=np.array([-1]))
add("flattened to a row", op("Flatten", "s", "y", axis=0), shape=[1, None])
add("folded", op("Reshape", "s dims", "y"), shape=["n", 2, 5], dims=np.array([-1, 2, 5]))
add("cut up", op("Reshape", "s dims", "y"), shape=[10, None], dims=np.array([10, -1]))
add("cut finer", op("Reshape", "s dims", "y"), shape=[None, 5], dims=np.array([-1, 5]))
add(
    "transposed and flattened",
    op("Transpose", "s", "t"),
    op("Reshape", "t dims", "y"),
    shape=[None],
    dims=np.array([-1]),
)

# More columns, and columns apart.

for size in (-1e30, -np.inf, np.nan, np.inf, 1e30):
    for place, order in (("before", "junk s"), ("behind", "s junk")):
        add(
            f"a column of {size:g} {place}",
            op("ReduceMax", "s a", "m", keepdims=1),
            op("Mul", "m nought", "z"),
            op("Add", "z size", "junk"),
            op("Concat", order, "y", axis=1),
            shape=["n", CLASSES + 1],
            a=np.array([1]),
            nought=np.float32(0),
            size=np.float32(size),
        )
for place, order in (("before", "junk s"), ("behind", "s junk"), ("around", "junk s junk")):
    add(
        f"another head {place}",
        op("MatMul", "flat noise", "junk"),
        op("Concat", order, "y", axis=1),
        shape=["n", None],
        noise=noise(CLASSES),
    )
for axis, dims in ((1, ["n", 2, CLASSES]), (2, ["n", CLASSES, 2])):
    add(
        f"another head on a new axis {axis}",
        op("MatMul", "flat noise", "junk"),
        op("Unsqueeze", "s a", "u"),
        op("Unsqueeze", "junk a", "v"),
        op("Concat", "v u", "y", axis=axis),
        shape=dims,
        a=np.array([axis]),
        noise=noise(CLASSES),
    )
parts = [f"y{i}" for i in range(CLASSES)]
add(
    "an output for each class",
    op("Split", "s", " ".join(parts), axis=1, num_outputs=CLASSES),
    outputs=[(part, FLOAT, ["n", 1]) for part in parts],
)
add(
    "an output of integers for each class",
    op("Cast", "s", "i", to=INT32),
    op("Split", "i", " ".join(parts), axis=1, num_outputs=CLASSES),
    outputs=[(part, INT32, ["n", 1]) for part in parts],
)
add(
    "an output for each half",
    op("Split", "s", "y z", axis=1, num_outputs=2),
    outputs=[(part, FLOAT, ["n", 5]) for part in ("y", "z")],
)

# More rows than inputs.

for place, pads in (("before", [1, 0, 0, 0]), ("behind", [0, 0, 1, 0])):
    add(
        f"a row of zeros {place} the others",
        op("Pad", "s pads", "y"),
        shape=[None, CLASSES],
        pads=np.array(pads),
    )
add("all rows twice", op("Tile", "s r", "y"), shape=[None, CLASSES], r=np.array([2, 1]))
for place, order in (("before", "junk s"), ("behind", "s junk")):
    add(
        f"as many rows of junk {place} the others",
        op("MatMul", "flat noise", "junk"),
        op("Concat", order, "y", axis=0),
        shape=[None, CLASSES],
        noise=noise(CLASSES),
    )
    add(
        f"three rows of junk {place} the others",
        op("Concat", order, "y", axis=0),
        shape=[None, CLASSES],
        junk=noise(CLASSES)[:3],
    )
add(
    "class numbers and one more",
    op("ArgMax", "s", "top", axis=1, keepdims=0),
    op("Concat", "one top", "y", axis=0),
    element=INT64,
    shape=[None],
    one=np.array([3]),
)
add(
    "class numbers twice",
    op("ArgMax", "s", "top", axis=1, keepdims=0),
    op("Tile", "top r", "y"),
    element=INT64,
    shape=[None],
    r=np.array([2]),
)

# Other scores.

add("turned around", op("Gather", "s at", "y", axis=1), at=np.arange(CLASSES)[::-1].copy())
add("negated", op("Neg", "s", "y"))
add("hardmax", op("Hardmax", "s", "y"))
add("squared probabilities", op("Softmax", "s", "p"), op("Mul", "p p", "y"))
add("cumulated", op("CumSum", "s a", "y"), a=np.int64(1))
add("rotated", op("MatMul", "s matrix", "y"), matrix=rotation(0))
add(
    "all more by one number of the input",
    op("MatMul", "flat noise", "more"),
    op("Add", "s more", "y"),
    noise=noise(1),
)

# Class numbers.

top = op("ArgMax", "s", "top", axis=1, keepdims=0)
add("class numbers as floats", top, op("Cast", "top", "y", to=FLOAT), shape=["n"])
add("class numbers as int32", top, op("Cast", "top", "y", to=INT32), element=INT32, shape=["n"])
add("class numbers as texts", top, op("Cast", "top", "y", to=STRING), element=STRING, shape=["n"])
add(
    "class numbers as texts of floats",
    top,
    op("Cast", "top", "f", to=FLOAT),
    op("Add", "f million", "g"),
    op("Cast", "g", "y", to=STRING),
    element=STRING,
    shape=["n"],
    million=np.float32(1e6),  # 1e+06, 1.000001e+06, ...
)
for name, behind in (("a blank", " "), ("a percent sign", "%"), ("a score", " 0.5 ")):
    blank = np.array(behind, dtype=object)
    add(
        f"class numbers as texts with {name}",
        top,
        op("Cast", "top", "t", to=STRING),
        op("StringConcat", "t blank", "y"),
        element=STRING,
        shape=["n"],
        blank=blank,
    )
    add(
        f"scores as texts with {name}",
        op("Cast", "s", "t", to=STRING),
        op("StringConcat", "t blank", "y"),
        element=STRING,
        blank=blank,
    )
add(
    "class and score in one text",
    top,
    op("ReduceMax", "s a", "m", keepdims=0),
    op("Cast", "top", "t", to=STRING),
    op("Cast", "m", "u", to=STRING),
    op("StringConcat", "t blank", "v"),
    op("StringConcat", "v u", "y"),
    element=STRING,
    shape=["n"],
    a=np.array([1]),
    blank=np.array(" ", dtype=object),
)
add(
    "names of classes behind a number",
    top,
    op(
        *("LabelEncoder", "top", "y"),
        domain="ai.onnx.ml",
        keys_int64s=list(range(CLASSES)),
        values_strings=[f"0 {name}" for name in NAMES],
    ),
    element=STRING,
    shape=["n"],
)
add(
    "renumbered classes",
    top,
    op("Gather", "numbers top", "y"),
    element=INT64,
    shape=["n"],
    numbers=np.arange(CLASSES)[::-1] * 1000 - 4000,
)
add(
    "one-hot truth values",
    top,
    op("OneHot", "top depth values", "h"),
    op("Cast", "h", "y", to=BOOL),
    element=BOOL,
    depth=np.int64(CLASSES),
    values=np.array([0, 1]),
)
add(
    "one-hot upside down",
    top,
    op("OneHot", "top depth values", "y", axis=0),
    element=INT64,
    shape=[CLASSES, "n"],
    depth=np.int64(CLASSES),
    values=np.array([5, -3]),
)
add(
    "places of the classes",
    top,
    op("OneHot", "top depth values", "h"),
    op("NonZero", "h", "y"),
    element=INT64,
    shape=[2, None],
    depth=np.int64(CLASSES),
    values=np.array([0, 1]),
)

add(
    "class and probability in one number",
    top,
    op("Softmax", "s", "p"),
    op("ReduceMax", "p a", "m", keepdims=0),
    op("Mul", "m most", "m2"),
    op("Cast", "top", "f", to=FLOAT),
    op("Add", "f m2", "y"),
    shape=["n"],
    a=np.array([1]),
    most=np.float32(0.9),
)
add(
    "names of classes that are no whole numbers",
    top,
    op(
        *("LabelEncoder", "top", "y"),
        domain="ai.onnx.ml",
        keys_int64s=list(range(CLASSES)),
        values_floats=[i + 0.5 for i in range(CLASSES)],
    ),
    shape=["n"],
)
add(
    "class numbers as negative floats",
    top,
    op("Cast", "top", "f", to=FLOAT),
    op("Sub", "f k", "y"),
    shape=["n"],
    k=np.float32(20),
)

# Lists of classes.

for k in (1, 2, 3, 5, CLASSES):
    add(f"the top {k}", op("TopK", "s k", "v y"), element=INT64, shape=["n", k], k=np.array([k]))
add(
    "the top 3 and their scores",
    op("TopK", "s k", "v y"),
    outputs=[("v", FLOAT, ["n", 3]), ("y", INT64, ["n", 3])],
    k=np.array([3]),
)
add(
    "the top 3 as floats, transposed",
    op("TopK", "s k", "v i"),
    op("Cast", "i", "f", to=FLOAT),
    op("Transpose", "f", "y"),
    shape=[3, "n"],
    k=np.array([3]),
)
add(
    "the top 3 from the third",
    op("TopK", "s k", "v i"),
    op("Gather", "i at", "y", axis=1),
    element=INT64,
    shape=["n", 3],
    k=np.array([3]),
    at=np.array([2, 1, 0]),
)
add(
    "all classes from the last",
    op("TopK", "s k", "v y", largest=0),
    element=INT64,
    k=np.array([CLASSES]),
)
add(
    "names of the top 3",
    op("TopK", "s k", "v i"),
    op(
        *("LabelEncoder", "i", "y"),
        domain="ai.onnx.ml",
        keys_int64s=list(range(CLASSES)),
        values_strings=NAMES,
    ),
    element=STRING,
    shape=["n", 3],
    k=np.array([3]),
)
add(
    "the top 3 beside a decoy",
    op("TopK", "s k", "v y"),
    helper.make_node("MatMul", ["flat", "noise"], ["y as ranking"]),
    outputs=[("y", INT64, ["n", 3]), ("y as ranking", FLOAT, ROW)],
    k=np.array([3]),
    noise=noise(CLASSES),
)

# Sequences.

floats = helper.make_tensor_type_proto(FLOAT, None)
sequence = [helper.make_value_info("y", helper.make_sequence_type_proto(floats))]
add("a sequence of one", op("SequenceConstruct", "s", "y"), outputs=sequence)
for place, order in (("behind", "s m"), ("before", "m s")):
    add(
        f"a sequence with the highest score {place} the others",
        op("ReduceMax", "s a", "m", keepdims=0),
        op("SequenceConstruct", order, "y"),
        outputs=sequence,
        a=np.array([1]),
    )
add("a sequence with a constant", op("SequenceConstruct", "s scale", "y"), outputs=sequence)
add(
    "a sequence with junk, beside an output of the name of its part",
    op("MatMul", "flat noise", "junk"),
    op("SequenceConstruct", "scale s junk", "y"),
    op("MatMul", "flat more", "y[1]"),
    outputs=[*sequence, ("y[1]", FLOAT, ROW)],
    noise=noise(13),
    more=noise(CLASSES),
)
add("a sequence of classes", op("SplitToSequence", "s", "y", axis=1), outputs=sequence)
add(
    "a sequence of classes alone",
    op("SplitToSequence", "s", "y", axis=1, keepdims=0),
    outputs=sequence,
)
add("a sequence of inputs", op("SplitToSequence", "s", "y", axis=0), outputs=sequence)
add(
    "a sequence of unequal parts",
    op("SplitToSequence", "s widths", "y", axis=1),
    outputs=sequence,
    widths=np.array([3, 7]),
)
add(
    "an optional",
    op("Optional", "s", "y"),
    outputs=[helper.make_value_info("y", helper.make_optional_type_proto(floats))],
)
add(
    "a sequence beside bfloat16",
    op("SequenceConstruct", "s", "y"),
    op("Cast", "one", "odd", to=TensorProto.BFLOAT16),
    outputs=[("odd", TensorProto.BFLOAT16, [1]), *sequence],
    one=np.ones(1, np.float32),
)
add(
    "gigabytes beside the scores",
    op("Identity", "s", "y"),
    op("ReduceMax", "s a", "m", keepdims=1),
    op("Expand", "m dims", "huge"),
    outputs=[("huge", FLOAT, ["n", None]), ("y", FLOAT, ROW)],
    a=np.array([1]),
    dims=np.array([1, 2**21]),
)

# What is not read.

add("all that is not zero", op("Cast", "s", "y", to=BOOL), element=BOOL, to=NOT_READ)
add(
    "a matrix that nearly forgets",
    op("MatMul", "s matrix", "y"),
    to=NOT_READ,
    matrix=rotation(1) @ np.diag(10.0 ** -np.arange(CLASSES)).astype(np.float32) @ rotation(2),
)
add(
    "columns of junk on both sides",
    op("MatMul", "flat noise", "junk"),
    op("MatMul", "flat more", "beyond"),
    op("Concat", "junk s beyond", "y", axis=1),
    shape=["n", None],
    to=NOT_READ,
    noise=noise(13),
    more=noise(20),
)
add(
    "one of ten heads on a new axis",
    op("MatMul", "flat noise", "junk"),
    op("Reshape", "junk dims", "heads"),
    op("Unsqueeze", "s a", "u"),
    op("Concat", "heads u", "y", axis=2),
    shape=["n", CLASSES, 10],
    to=NOT_READ,
    noise=noise(9 * CLASSES),
    dims=np.array([-1, CLASSES, 9]),
    a=np.array([2]),
)
add(
    "many times as many rows of junk on both sides of the others",
    op("MatMul", "flat noise", "junk"),
    op("Concat", " ".join(["junk"] * 5 + ["s"] + ["junk"] * 5), "y", axis=0),
    shape=[None, CLASSES],
    to=NOT_READ,
    noise=noise(CLASSES),
)
add(
    "class numbers as tenths",
    top,
    op("Cast", "top", "f", to=FLOAT),
    op("Div", "f k", "y"),
    shape=["n"],
    to=NOT_READ,
    k=np.float32(CLASSES),
)
add(
    "name and score in one text",
    top,
    op(
        *("LabelEncoder", "top", "t"),
        domain="ai.onnx.ml",
        keys_int64s=list(range(CLASSES)),
        values_strings=[f"{name} " for name in NAMES],
    ),
    op("ReduceMax", "s a", "m", keepdims=0),
    op("Cast", "m", "u", to=STRING),
    op("StringConcat", "t u", "y"),
    element=STRING,
    shape=["n"],
    to=NOT_READ,
    a=np.array([1]),
)
add(
    "the ninth output",
    op("Identity", "s", "y"),
    *(op("MatMul", f"flat noise{i}", f"junk{i}") for i in range(8)),
    outputs=[*((f"junk{i}", FLOAT, ROW) for i in range(8)), ("y", FLOAT, ROW)],
    to=NOT_READ,
    **{f"noise{i}": noise(CLASSES) for i in range(8)},
)
