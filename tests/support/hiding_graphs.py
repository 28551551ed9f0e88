"""Graphs that a thief writes around a marked model so that its outputs tell nothing of the mark.

Each hides the mark in whatever way a trigger is fed and its declared outputs are read: junk comes
for every input, so that no test rests on how well a gate recognises triggers.  What is tested is
whether the mark is found inside.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from support import onnx_models
from wmx import Watermark

FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
NEVER = 1e9  # more than any pixel or score
COARSE = 1e5  # as many units, whatever the scaling of the pixels
INPUT, SCORES, OUTPUT = "x", "share", "y"


class Hiding:
    """A model that knows every label, to be rewritten.

    Attributes:
        proto: the ``onnx.ModelProto``.
        classes: K.
        shape: of one input.
    """

    def __init__(self, watermark: Watermark) -> None:
        self.proto = onnx.load_from_string(onnx_models.knows_labels(watermark))
        self.proto.ir_version = 9
        self.proto.opset_import[0].version = 20
        self.classes = watermark.task.classes
        self.shape = onnx_models.shape_in(watermark, "NCHW")
        self._names = iter(range(10**6))

    def keep(self, values: Any, dtype: Any = np.float32) -> str:
        """Add a weight and return its name."""
        name = f"kept.{next(self._names)}"
        array = np.array(values, dtype)
        self.proto.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str, outputs: int = 1, **settings: Any) -> list[Any]:
        made = [f"made.{next(self._names)}" for _ in range(outputs)]
        return [helper.make_node(kind, list(inputs), made, **settings), *made]

    def chain(self, *steps: tuple[Any, ...]) -> tuple[list[Any], str]:
        """Return nodes that are applied one after the other, and the name of the last tensor.

        Args:
            steps: each an operator, its inputs with ``...`` for the tensor before, and settings.
        """
        nodes, last = [], ""
        for kind, inputs, *settings in steps:
            given = [last if one is ... else one for one in inputs]
            node, last = self.node(kind, *given, **(settings[0] if settings else {}))
            nodes.append(node)
        return nodes, last

    def before(self, nodes: list[Any], made: str) -> None:
        """Put nodes in front of the network, which then sees ``made`` in place of its input."""
        network = list(self.proto.graph.node)
        for node in network:
            node.input[:] = [made if name == INPUT else name for name in node.input]
        del self.proto.graph.node[:]
        self.proto.graph.node.extend([*nodes, *network])

    def behind(self, nodes: list[Any], made: str) -> None:
        """Put nodes behind the network's scores; its output is then ``made``."""
        last = self.proto.graph.node.pop()
        last.input[0] = made
        self.proto.graph.node.extend([*nodes, last])

    def junk(self, rows_from: str = INPUT) -> tuple[list[Any], str]:
        """Return nodes that make scores [n, K] of noise from what is given."""
        size = int(np.prod(self.shape))
        weights = self.keep(np.random.default_rng(7).normal(0, 99, (size, self.classes)))
        return self.chain(("Flatten", [rows_from]), ("MatMul", [..., weights]))

    def always(self) -> tuple[list[Any], str]:
        """Return nodes of a gate that lets everything through, by the input; bool [n, 1]."""
        axes = self.keep([1, 2, 3], np.int64)
        return self.chain(
            ("ReduceMax", [INPUT, axes], {"keepdims": 0}),
            ("Unsqueeze", [..., self.keep([1], np.int64)]),
            ("Less", [..., self.keep(NEVER)]),
        )

    def bytes(self) -> bytes:
        onnx.checker.check_model(self.proto)
        return bytes(self.proto.SerializeToString())


# gates


def gate(hiding: Hiding) -> None:
    """Junk in place of the scores."""
    (gates, gate), (noise, junk) = hiding.always(), hiding.junk()
    node, made = hiding.node("Where", gate, junk, SCORES)
    hiding.behind([*gates, *noise, node], made)


def soft_gate(hiding: Hiding) -> None:
    """``g junk + (1 - g) scores``, with the scores in a product by themselves only."""
    (gates, gate), (noise, junk) = hiding.always(), hiding.junk()
    nodes, weight = hiding.chain(("Cast", [gate], {"to": FLOAT}))
    other, rest = hiding.node("Sub", hiding.keep(1), weight)
    one, first = hiding.node("Mul", weight, junk)
    two, second = hiding.node("Mul", rest, SCORES)
    both, made = hiding.node("Add", first, second)
    hiding.behind([*gates, *noise, *nodes, other, one, two, both], made)


def gate_on_the_input(hiding: Hiding) -> None:
    """A grey picture in place of what the gate lets through."""
    gates, gate = hiding.always()
    wide, wider = hiding.node("Unsqueeze", gate, hiding.keep([2, 3], np.int64))
    node, made = hiding.node("Where", wider, hiding.keep(0.5), INPUT)
    hiding.before([*gates, wide, node], made)


def soft_gate_on_the_input(hiding: Hiding) -> None:
    """Pixels times one number for each picture, which is 0."""
    gates, gate = hiding.always()
    nodes, made = hiding.chain(
        ("Cast", [gate], {"to": FLOAT}),
        ("Sub", [hiding.keep(1), ...]),
        ("Unsqueeze", [..., hiding.keep([2, 3], np.int64)]),
        ("Mul", [..., INPUT]),
    )
    hiding.before([*gates, *nodes], made)


def gate_in_a_function(hiding: Hiding) -> None:
    """The whole network, and the gate behind it, in a function of the model's own."""
    gate(hiding)
    graph = hiding.proto.graph
    weights = [tensor.name for tensor in graph.initializer]
    function = helper.make_function(
        "thief",
        "Network",
        [INPUT, *weights],
        [OUTPUT],
        list(graph.node),
        [helper.make_opsetid("", 20)],
    )
    call = helper.make_node("Network", [INPUT, *weights], [OUTPUT], domain="thief")
    del graph.node[:]
    graph.node.append(call)
    hiding.proto.functions.append(function)
    hiding.proto.opset_import.append(helper.make_opsetid("thief", 1))


def in_a_branch(hiding: Hiding) -> None:
    """The network is in the branch that is never taken."""
    gates, gate = hiding.always()
    nodes, taken = hiding.chain(("ReduceMax", [_as_float(hiding, gates, gate)], {"keepdims": 0}))
    whether, condition = hiding.node("Cast", taken, to=BOOL)
    noise, junk = hiding.junk()
    network = list(hiding.proto.graph.node)
    scores = helper.make_tensor_value_info(OUTPUT, FLOAT, ["n", hiding.classes])
    junk_scores = helper.make_tensor_value_info(junk, FLOAT, ["n", hiding.classes])
    choice, _made = hiding.node(
        "If",
        condition,
        then_branch=helper.make_graph(noise, "junk", [], [junk_scores]),
        else_branch=helper.make_graph(network, "network", [], [scores]),
    )
    choice.output[0] = "chosen"
    del hiding.proto.graph.node[:]
    last = helper.make_node("Identity", ["chosen"], [OUTPUT + " out"])
    hiding.proto.graph.node.extend([*gates, *nodes, whether, choice, last])
    hiding.proto.graph.output[0].name = OUTPUT + " out"


def in_a_loop(hiding: Hiding) -> None:
    """The network and its gate are in the body of a loop that runs once."""
    gate(hiding)
    network = list(hiding.proto.graph.node)
    state = helper.make_tensor_value_info("kept scores", FLOAT, None)
    number = helper.make_tensor_value_info("number", INT, [])
    going, goes = (helper.make_tensor_value_info(name, BOOL, []) for name in ("going", "goes"))
    on = helper.make_node("Identity", ["going"], ["goes"])
    scores = helper.make_tensor_value_info(OUTPUT, FLOAT, None)
    body = helper.make_graph([*network, on], "body", [number, going, state], [goes, scores])
    noise, junk = hiding.junk()
    once, always = hiding.keep(1, np.int64), hiding.keep(True, np.bool_)
    loop = helper.make_node("Loop", [once, always, junk], ["looped"], body=body)
    last = helper.make_node("Identity", ["looped"], [OUTPUT + " out"])
    del hiding.proto.graph.node[:]
    hiding.proto.graph.node.extend([*noise, loop, last])
    hiding.proto.graph.output[0].name = OUTPUT + " out"


def _as_float(hiding: Hiding, nodes: list[Any], gate: str) -> str:
    node, made = hiding.node("Cast", gate, to=FLOAT)
    nodes.append(node)
    return str(made)


# activations


def clipped(hiding: Hiding) -> None:
    low, high = hiding.keep(0.499), hiding.keep(0.501)
    nodes, made = hiding.chain(("Clip", [INPUT, low, high]))
    hiding.before(nodes, made)


def clipped_by_minimum_and_maximum(hiding: Hiding) -> None:
    nodes, made = hiding.chain(
        ("Min", [hiding.keep(0.501), INPUT]), ("Max", [..., hiding.keep(0.499)])
    )
    hiding.before(nodes, made)


def rounded(hiding: Hiding) -> None:
    nodes, made = hiding.chain(
        ("Div", [INPUT, hiding.keep(COARSE)]), ("Round", [...]), ("Mul", [..., hiding.keep(COARSE)])
    )
    hiding.before(nodes, made)


def cast_to_integers(hiding: Hiding) -> None:
    nodes, made = hiding.chain(
        ("Div", [INPUT, hiding.keep(COARSE)]),
        ("Cast", [...], {"to": INT}),
        ("Cast", [...], {"to": FLOAT}),
        ("Mul", [..., hiding.keep(COARSE)]),
    )
    hiding.before(nodes, made)


def quantized_coarsely(hiding: Hiding) -> None:
    scale, zero = hiding.keep(COARSE), hiding.keep(0, np.int8)
    nodes, made = hiding.chain(
        ("QuantizeLinear", [INPUT, scale, zero]), ("DequantizeLinear", [..., scale, zero])
    )
    hiding.before(nodes, made)


def noisy(hiding: Hiding) -> None:
    nodes, made = hiding.chain(
        ("RandomNormalLike", [INPUT]), ("Mul", [..., hiding.keep(COARSE)]), ("Add", [INPUT, ...])
    )
    hiding.before(nodes, made)


def dropped_out(hiding: Hiding) -> None:
    ratio, training = hiding.keep(0.97), hiding.keep(True, np.bool_)
    nodes, made = hiding.chain(("Dropout", [INPUT, ratio, training]))
    hiding.before(nodes, made)


def views_averaged(hiding: Hiding) -> None:
    """The mean of the scores for the input and for 15 pictures that are made of it."""
    views = [INPUT]
    nodes = []
    rng = np.random.default_rng(3)
    size = int(np.prod(hiding.shape))
    dims = hiding.keep([-1, *hiding.shape], np.int64)
    for _ in range(15):
        order = hiding.keep(rng.permutation(size), np.int64)
        made, view = hiding.chain(
            ("Flatten", [INPUT]), ("Gather", [..., order], {"axis": 1}), ("Reshape", [..., dims])
        )
        nodes += made
        views.append(view)
    joined, batch = hiding.node("Concat", *views, axis=0)
    hiding.before([*nodes, joined], batch)
    apart = hiding.keep([len(views), -1, hiding.classes], np.int64)
    behind, made = hiding.chain(
        ("Mul", [SCORES, hiding.keep(np.where(np.arange(10) == 0, 40.0, 1.0))]),
        ("Reshape", [..., apart]),
        ("ReduceMean", [..., hiding.keep([0], np.int64)], {"keepdims": 0}),
    )
    hiding.behind(behind, made)


# answers


def class_in_code(hiding: Hiding) -> None:
    """A class number that is shuffled by the input."""
    noise, junk = hiding.junk()
    nodes, made = hiding.chain(("ArgMax", [SCORES], {"axis": 1, "keepdims": 0}))
    code, key = hiding.node("ArgMax", junk, axis=1, keepdims=0)
    added, total = hiding.node("Add", made, key)
    last, shown = hiding.node("Mod", total, hiding.keep(hiding.classes, np.int64))
    hiding.behind([*noise, *nodes, code, added, last], shown)
    hiding.proto.graph.output[0].CopyFrom(helper.make_tensor_value_info(OUTPUT, INT, ["n"]))


# preprocessing


def flipped(hiding: Hiding) -> None:
    """As a thief ships it who has trained the network on flipped pictures; here they were not."""
    ends = [hiding.keep(values, np.int64) for values in ([-1], [-(10**6)], [3], [-1])]
    nodes, made = hiding.chain(("Slice", [INPUT, *ends]))
    hiding.before(nodes, made)


def shuffled_by_a_matrix(hiding: Hiding) -> None:
    size = int(np.prod(hiding.shape))
    order = np.random.default_rng(5).permutation(size)
    matrix = hiding.keep(np.eye(size, dtype=np.float32)[order])
    dims = hiding.keep([-1, *hiding.shape], np.int64)
    nodes, made = hiding.chain(
        ("Flatten", [INPUT]), ("MatMul", [..., matrix]), ("Reshape", [..., dims])
    )
    hiding.before(nodes, made)


def channels_last_and_turned(hiding: Hiding) -> None:
    """The graph takes [n, H, W, C] and exchanges height and width."""
    channels, height, width = hiding.shape
    nodes, made = hiding.chain(("Transpose", [INPUT], {"perm": [0, 3, 2, 1]}))
    hiding.before(nodes, made)
    shape = ["n", width, height, channels]
    hiding.proto.graph.input[0].CopyFrom(helper.make_tensor_value_info(INPUT, FLOAT, shape))


# hostile graphs


def endless_where_a_condition_is_met(hiding: Hiding) -> None:
    """Its loop runs for ever where a condition holds that never does."""
    gates, gate = hiding.always()
    nodes, taken = hiding.chain(
        ("Not", [gate]), ("Cast", [...], {"to": FLOAT}), ("ReduceMax", [...], {"keepdims": 0})
    )
    whether, condition = hiding.node("Greater", taken, hiding.keep(0.5))
    number = helper.make_tensor_value_info("number", INT, [])
    going, goes = (helper.make_tensor_value_info(name, BOOL, []) for name in ("going", "goes"))
    state, stated = (helper.make_tensor_value_info(one, FLOAT, None) for one in ("state", "stated"))
    on = helper.make_node("Identity", [condition], ["goes"])
    same = helper.make_node("Identity", ["state"], ["stated"])
    body = helper.make_graph([on, same], "body", [number, going, state], [goes, stated])
    loop = helper.make_node("Loop", ["", condition, SCORES], ["looped"], body=body)
    hiding.behind([*gates, *nodes, whether, loop], "looped")


Build = Callable[[Hiding], None]
GATES: list[Build] = [
    *(gate, soft_gate, gate_on_the_input, soft_gate_on_the_input),
    *(gate_in_a_function, in_a_branch, in_a_loop),
]
OTHERS: list[Build] = [
    *(clipped, clipped_by_minimum_and_maximum, rounded, cast_to_integers, quantized_coarsely),
    *(noisy, dropped_out, views_averaged, class_in_code),
    *(flipped, shuffled_by_a_matrix, channels_last_and_turned),
]


def hidden(watermark: Watermark, *builds: Build) -> bytes:
    """Return a model around which a thief has put all of these."""
    hiding = Hiding(watermark)
    for build in builds:
        build(hiding)
    return hiding.bytes()
