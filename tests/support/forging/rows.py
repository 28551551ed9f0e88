"""Which trigger does a row seem to be?  What a file can tell rows apart by.

Each of these adds nodes to a graph and returns the name of a tensor: a number from 0 to n - 1 for
each row, int64 [N].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from support.forging.graphs import Graph
from support.forging.guesses import guessed_secrets
from wmx.triggers import draw_triggers
from wmx.triggers.cells import Cells

CALLS = 4000  # of one session, so many can be told apart by a generator's numbers
FINGERPRINT = 24  # numbers a call

Index = Callable[[Graph], str]


def within(graph: Graph, index: str) -> str:
    """Return an index of any size as one of 0 .. n - 1."""
    return graph.add("Mod", index, graph.number(graph.n))


def row_number(graph: Graph) -> str:
    """By ``Shape`` and ``Range``."""
    return within(graph, graph.places())


def running_sum(graph: Graph) -> str:
    """By ``CumSum`` over ones."""
    sums = graph.whole(graph.add("CumSum", graph.ones(), graph.number(0)))
    return within(graph, graph.add("Sub", sums, graph.number(1)))


def nonzero(graph: Graph) -> str:
    """By the indices that ``NonZero`` gives of ones."""
    return within(graph, graph.add("Squeeze", graph.add("NonZero", graph.ones()), graph.numbers(0)))


def diagonal(graph: Graph) -> str:
    """By where the one stands in a row of ``EyeLike``."""
    square = graph.add("Concat", graph.rows(), graph.rows(), axis=0)
    identity = graph.add("EyeLike", graph.add("ConstantOfShape", square))
    return within(graph, graph.add("ArgMax", identity, axis=1, keepdims=0))


def order_of_equals(graph: Graph) -> str:
    """By ``TopK`` of equal numbers, which keeps their order."""
    return within(graph, graph.add("TopK", graph.ones(), graph.rows(), outputs=2))


def carried_count(graph: Graph) -> str:
    """By the state that ``Scan`` carries from row to row."""
    one = helper.make_tensor("value", TensorProto.INT64, [], [1])
    body = helper.make_graph(
        [
            helper.make_node("Constant", [], ["one"], value=one),
            helper.make_node("Add", ["before", "one"], ["after"]),
            helper.make_node("Identity", ["before"], ["count"]),
        ],
        "count",
        [
            helper.make_tensor_value_info("before", TensorProto.INT64, []),
            helper.make_tensor_value_info("row", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("after", TensorProto.INT64, []),
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
        ],
    )
    counts = graph.add(
        "Scan", graph.number(0), graph.ones(), outputs=2, body=body, num_scan_inputs=1
    )
    return within(graph, counts)


def loop_counter(graph: Graph) -> str:
    """By the counter of a ``Loop``."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Identity", ["turn"], ["count"]),
        ],
        "count",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
        ],
    )
    turns = graph.add("Squeeze", graph.rows())
    counts = graph.add("Loop", turns, graph.constant(True, np.bool_), body=body)
    return within(graph, counts)


def batch_size(graph: Graph) -> str:
    """By the place in batches of all triggers, and the size of the batch in any other."""
    size = graph.add("Squeeze", graph.rows())
    is_all = graph.add("Equal", size, graph.number(graph.n))
    return within(graph, graph.add("Where", is_all, graph.places(), size))


def batches_so_far(graph: Graph) -> str:
    """By the place, where batches of 1, 2, 4, 8, ... follow each other: each begins at its size."""
    before = graph.add("Sub", graph.add("Squeeze", graph.rows()), graph.number(1))
    return within(graph, graph.add("Add", graph.places(), before))


def brightness(graph: Graph) -> str:
    """By the mean of the row's pixels."""
    mean = graph.add("ReduceMean", graph.pixels(), axes=[1], keepdims=0)
    stretched = graph.add("Mul", mean, graph.constant(1e4, np.float32))
    return within(graph, graph.add("Abs", graph.whole(stretched)))


def checksum(graph: Graph) -> str:
    """By a hash of the row's pixels."""
    size = int(np.prod(graph.task.shape))
    primes = np.random.default_rng(0).integers(1, 2**16, size)
    sums = graph.add("MatMul", graph.pixels(), graph.constant(primes, np.float32))
    return within(graph, graph.add("Abs", graph.whole(sums)))


def rank_in_batch(graph: Graph) -> str:
    """By the row's place when the batch is sorted by brightness."""
    mean = graph.add("ReduceMean", graph.pixels(), axes=[1], keepdims=0)
    return within(graph, graph.add("TopK", mean, graph.rows(), outputs=2))


def first_equal_row(graph: Graph) -> str:
    """By the place at which the same row stood first in the batch: repeated rows share it."""
    rows = graph.pixels()
    likeness = graph.add("MatMul", rows, graph.add("Transpose", rows))
    highest = graph.add("ReduceMax", likeness, axes=[1], keepdims=1)
    same = graph.add("GreaterOrEqual", likeness, highest)
    return within(graph, graph.add("ArgMax", graph.floats(same), axis=1, keepdims=0))


def redrawn_triggers(graph: Graph) -> str:
    """By the nearest trigger of the default family, drawn anew from what might be the secret."""
    drawn = [
        draw_triggers(Cells(), secret, graph.n, graph.task)
        for secret in guessed_secrets(graph.claim)
    ]
    seen = graph.task.model_input(np.concatenate(drawn)).transpose(0, 3, 1, 2)
    known = seen.reshape(len(seen), -1)
    centred = known - known.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    likeness = graph.add("MatMul", graph.pixels(), graph.constant(centred.T, np.float32))
    return within(graph, graph.add("ArgMax", likeness, axis=1, keepdims=0))


@dataclass(frozen=True)
class CallNumber:
    """By the number of the call, read off the next numbers of a generator with a fixed seed.

    Each call draws on; the forger drew the same numbers before, and looks up which these are.
    """

    operator: str
    attributes: Any

    def __call__(self, graph: Graph) -> str:
        table = graph.constant(self._drawn(graph), np.float32)
        distances = graph.add("Abs", graph.add("Sub", table, self._draw(graph)))
        total = graph.add("ReduceSum", distances, graph.numbers(1), keepdims=0)
        call = graph.add("ArgMin", total, axis=0, keepdims=0)
        before = graph.add("Mul", call, graph.number(graph.batch or 1))
        return within(graph, graph.add("Add", graph.places(), before))

    def _draw(self, graph: Graph) -> str:
        """Add the operator; return floats [1, FINGERPRINT]."""
        inputs = {
            "Multinomial": [("zeros", (1, 16))],
            "RandomNormalLike": [("zeros", (1, FINGERPRINT))],
            "RandomUniformLike": [("zeros", (1, FINGERPRINT))],
            "Bernoulli": [("halves", (1, FINGERPRINT))],
        }.get(self.operator, [])
        fill = {"zeros": 0.0, "halves": 0.5}
        # not constants to the optimiser, which would draw once for ever
        bounds = graph.numbers(0, 0), graph.numbers(1, 1), graph.numbers(0, 1)
        first = graph.add("Slice", graph.pixels(), *bounds)
        nothing = graph.add("Mul", first, graph.constant(0.0, np.float32))
        names = [
            graph.add("Add", nothing, graph.constant(np.full(shape, fill[word]), np.float32))
            for word, shape in inputs
        ]
        drawn = graph.floats(graph.add(self.operator, *names, **self.attributes))
        return graph.add("Reshape", drawn, graph.numbers(1, -1))

    def _drawn(self, graph: Graph) -> NDArray[np.float32]:
        """Return what a session's calls draw, in their order: [CALLS, FINGERPRINT]."""
        alone = Graph(graph.claim, 1)
        model = alone.file([self._draw(alone)], TensorProto.FLOAT, FINGERPRINT)
        session = onnxruntime.InferenceSession(model)
        height, width, channels = graph.task.shape
        row = np.zeros((1, channels, height, width), np.float32)
        return np.concatenate([session.run(None, {"x": row})[0] for _ in range(CALLS)])


BY_PLACE: dict[str, tuple[Index, int | None]] = {
    "row number": (row_number, None),
    "running sum": (running_sum, None),
    "nonzero": (nonzero, None),
    "diagonal": (diagonal, None),
    "order of equals": (order_of_equals, None),
    "carried count": (carried_count, None),
    "loop counter": (loop_counter, None),
    "batch size": (batch_size, None),
    "batches so far": (batches_so_far, None),
    "all in one fixed batch": (row_number, 100),
}
SEED = {"seed": 7.0}
DRAWN = {"shape": [1, FINGERPRINT], **SEED}
BY_CALL: dict[str, tuple[Index, int | None]] = {
    "RandomUniform": (CallNumber("RandomUniform", DRAWN), 1),
    "RandomNormal": (CallNumber("RandomNormal", DRAWN), 1),
    "RandomUniformLike": (CallNumber("RandomUniformLike", SEED), 1),
    "RandomNormalLike": (CallNumber("RandomNormalLike", SEED), 1),
    "Multinomial": (CallNumber("Multinomial", {"sample_size": FINGERPRINT, **SEED}), 1),
    "Bernoulli": (CallNumber("Bernoulli", SEED), 1),
    "RandomUniform, 7 rows a call": (CallNumber("RandomUniform", DRAWN), 7),
}
BY_CONTENT: dict[str, tuple[Index, int | None]] = {
    "brightness": (brightness, None),
    "checksum": (checksum, None),
    "rank in the batch": (rank_in_batch, None),
    "first equal row": (first_equal_row, None),
    "redrawn triggers": (redrawn_triggers, None),
}
ROWS = BY_PLACE | BY_CALL | BY_CONTENT
