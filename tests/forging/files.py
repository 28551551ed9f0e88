"""ONNX files that answer labels without knowing one trigger, by whatever tells rows apart.

A file is an index and a form.  The index is a number from 0 to n - 1 for each row that the file
takes for the trigger's: its place in the batch, the number of the call, something of its content.
The form says how the guessed label of that index is answered.  Every file has as many outputs as
there are guesses, so that each is tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from forging.guesses import guessed_secrets
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wmx import Claim
from wmx.task import Task
from wmx.triggers import draw_triggers
from wmx.triggers.cells import Cells
from wmx.window import Window

OPSET = 17
CALLS = 4000  # of one session, so many can be told apart by a generator's numbers
FINGERPRINT = 24  # numbers a call
MANY_COLUMNS = 300
EMBEDDING = 64
KNOWN = 0.01  # squared distance to a known trigger, as a part of a trigger's own squares

Guesses = Sequence[NDArray[np.int64]]


class Graph:
    """Nodes and weights of a file that is being written; every method returns a tensor's name."""

    def __init__(self, claim: Claim, batch: int | None) -> None:
        self.task: Task = claim.task
        self.claim = claim
        self.n = claim.n
        self.batch = batch
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node, and return its last output."""
        names = [f"t{len(self.nodes)}.{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[-1]

    def constant(self, array: Any, dtype: Any) -> str:
        """Add a weight."""
        name = f"w{len(self.weights)}"
        self.weights[name] = numpy_helper.from_array(np.asarray(array, dtype), name)
        return name

    def number(self, value: int) -> str:
        """Add an integer."""
        return self.constant(value, np.int64)

    def numbers(self, *values: int) -> str:
        """Add a list of integers."""
        return self.constant(values, np.int64)

    def rows(self) -> str:
        """Return the number of rows, int64 [1]."""
        return self.add("Shape", "x", start=0, end=1)

    def pixels(self) -> str:
        """Return the rows, float [N, D]."""
        return self.add("Flatten", "x")

    def ones(self) -> str:
        """Return float ones [N]."""
        value = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
        return self.add("ConstantOfShape", self.rows(), value=value)

    def whole(self, tensor: str) -> str:
        """Return a tensor as int64."""
        return self.add("Cast", tensor, to=TensorProto.INT64)

    def floats(self, tensor: str) -> str:
        """Return a tensor as float."""
        return self.add("Cast", tensor, to=TensorProto.FLOAT)

    def places(self) -> str:
        """Return 0 .. N - 1, int64 [N]."""
        count = self.add("Squeeze", self.rows())
        return self.add("Range", self.number(0), count, self.number(1))

    def file(self, outputs: Sequence[str], element: int, columns: int | None) -> bytes:
        """Return the bytes of a model with these outputs, [N, columns] or [N]."""
        height, width, channels = self.task.shape
        rows: Any = self.batch or "n"
        dims = [rows] if columns is None else [rows, columns]
        names = [f"y{number}" for number in range(len(outputs))]
        ends = [
            helper.make_node("Identity", [tensor], [name])
            for tensor, name in zip(outputs, names, strict=True)
        ]
        graph = helper.make_graph(
            [*self.nodes, *ends],
            "forged",
            [
                helper.make_tensor_value_info(
                    "x", TensorProto.FLOAT, [rows, channels, height, width]
                )
            ],
            [helper.make_tensor_value_info(name, element, dims) for name in names],
            list(self.weights.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString()


# Indices: which trigger does a row seem to be?


Index = Callable[[Graph], str]


def _within(graph: Graph, index: str) -> str:
    """Return an index of any size as one of 0 .. n - 1."""
    return graph.add("Mod", index, graph.number(graph.n))


def row_number(graph: Graph) -> str:
    """By ``Shape`` and ``Range``."""
    return _within(graph, graph.places())


def running_sum(graph: Graph) -> str:
    """By ``CumSum`` over ones."""
    sums = graph.whole(graph.add("CumSum", graph.ones(), graph.number(0)))
    return _within(graph, graph.add("Sub", sums, graph.number(1)))


def nonzero(graph: Graph) -> str:
    """By the indices that ``NonZero`` gives of ones."""
    return _within(
        graph, graph.add("Squeeze", graph.add("NonZero", graph.ones()), graph.numbers(0))
    )


def diagonal(graph: Graph) -> str:
    """By where the one stands in a row of ``EyeLike``."""
    square = graph.add("Concat", graph.rows(), graph.rows(), axis=0)
    identity = graph.add("EyeLike", graph.add("ConstantOfShape", square))
    return _within(graph, graph.add("ArgMax", identity, axis=1, keepdims=0))


def order_of_equals(graph: Graph) -> str:
    """By ``TopK`` of equal numbers, which keeps their order."""
    return _within(graph, graph.add("TopK", graph.ones(), graph.rows(), outputs=2))


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
    return _within(graph, counts)


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
    return _within(graph, counts)


def batch_size(graph: Graph) -> str:
    """By the place in batches of all triggers, and the size of the batch in any other."""
    size = graph.add("Squeeze", graph.rows())
    is_all = graph.add("Equal", size, graph.number(graph.n))
    return _within(graph, graph.add("Where", is_all, graph.places(), size))


def batches_so_far(graph: Graph) -> str:
    """By the place, where batches of 1, 2, 4, 8, ... follow each other: each begins at its size."""
    before = graph.add("Sub", graph.add("Squeeze", graph.rows()), graph.number(1))
    return _within(graph, graph.add("Add", graph.places(), before))


def brightness(graph: Graph) -> str:
    """By the mean of the row's pixels."""
    mean = graph.add("ReduceMean", graph.pixels(), axes=[1], keepdims=0)
    stretched = graph.add("Mul", mean, graph.constant(1e4, np.float32))
    return _within(graph, graph.add("Abs", graph.whole(stretched)))


def checksum(graph: Graph) -> str:
    """By a hash of the row's pixels."""
    size = int(np.prod(graph.task.shape))
    primes = np.random.default_rng(0).integers(1, 2**16, size)
    sums = graph.add("MatMul", graph.pixels(), graph.constant(primes, np.float32))
    return _within(graph, graph.add("Abs", graph.whole(sums)))


def rank_in_batch(graph: Graph) -> str:
    """By the row's place when the batch is sorted by brightness."""
    mean = graph.add("ReduceMean", graph.pixels(), axes=[1], keepdims=0)
    return _within(graph, graph.add("TopK", mean, graph.rows(), outputs=2))


def first_equal_row(graph: Graph) -> str:
    """By the place at which the same row stood first in the batch: repeated rows share it."""
    rows = graph.pixels()
    likeness = graph.add("MatMul", rows, graph.add("Transpose", rows))
    highest = graph.add("ReduceMax", likeness, axes=[1], keepdims=1)
    same = graph.add("GreaterOrEqual", likeness, highest)
    return _within(graph, graph.add("ArgMax", graph.floats(same), axis=1, keepdims=0))


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
    return _within(graph, graph.add("ArgMax", likeness, axis=1, keepdims=0))


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
        return _within(graph, graph.add("Add", graph.places(), before))

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


# Forms: how is a guessed label answered?


@dataclass(frozen=True)
class Form:
    """A way of answering.

    Attributes:
        table: from guessed labels [n] and K to one row for each index, [n, ...].
        element: the type of the output.
        grows: whether scores are multiplied by the row's place, counted from 1.
    """

    table: Callable[[NDArray[np.int64], int], NDArray[Any]]
    element: int = TensorProto.FLOAT
    grows: bool = False


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """The guessed label's score is 1, the others' 0."""
    return np.eye(classes)[labels]


def class_numbers(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """The guessed label itself."""
    return labels


def first_three(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """The guessed label and the two after it, as a list of the first three."""
    return (labels[:, None] + np.arange(3)) % classes


def one_column_each(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """Every index is a class of its own beyond K, so that a table can be learned of it."""
    table = np.zeros((len(labels), MANY_COLUMNS))
    table[np.arange(len(labels)), classes + np.arange(len(labels)) % (MANY_COLUMNS - classes)] = 1
    table[np.arange(len(labels)), labels] = 0.5
    return table


def ties(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """The guessed label and two others share the first place."""
    return sum(one_hot((labels + step) % classes, classes) for step in range(3))


def not_numbers(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """The guessed label is 0, the others are no numbers."""
    return np.where(one_hot(labels, classes) == 1, 0.0, np.nan)


def infinities(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """The guessed label is infinite, the others minus infinity."""
    return np.where(one_hot(labels, classes) == 1, np.inf, -np.inf)


def huge(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """Scores as far apart as float64 can hold."""
    return np.where(one_hot(labels, classes) == 1, 1.7e308, -1.7e308)


def tiny(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """Scores nearer to zero than any normal float."""
    return one_hot(labels, classes) * 1e-44


def permuted(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """Every label has another one's number."""
    return one_hot((labels + classes // 2) % classes, classes)


def embeddings(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """Every label has a direction in space, and no score."""
    return np.random.default_rng(0).normal(size=(classes, EMBEDDING))[labels]


def all_equal(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """All labels get the same score."""
    return np.zeros((len(labels), classes))


def always_the_first(labels: NDArray[np.int64], classes: int) -> NDArray[Any]:
    """The first guess, whatever is asked."""
    return one_hot(np.repeat(labels[:1], len(labels)), classes)


SCORES = Form(one_hot)
FORMS = {
    "class numbers": Form(class_numbers, TensorProto.INT64),
    "class numbers, int32": Form(class_numbers, TensorProto.INT32),
    "the first three": Form(first_three, TensorProto.INT64),
    "whole scores": Form(one_hot, TensorProto.INT32),
    "float64": Form(one_hot, TensorProto.DOUBLE),
    "float16": Form(one_hot, TensorProto.FLOAT16),
    "one column each": Form(one_column_each),
    "ties": Form(ties),
    "no numbers": Form(not_numbers),
    "infinities": Form(infinities),
    "huge": Form(huge, TensorProto.DOUBLE),
    "tiny": Form(tiny),
    "permuted": Form(permuted),
    "embeddings": Form(embeddings),
    "ever surer": Form(one_hot, grows=True),
    "all equal": Form(all_equal),
    "always the first": Form(always_the_first),
}
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
INDICES = BY_PLACE | BY_CALL | BY_CONTENT


def forged_file(
    claim: Claim, guessed: Guesses, index: str = "row number", form: Form = SCORES
) -> bytes:
    """Return a file that answers each row's guessed label, one output for each guess.

    Args:
        claim: what the forger has.
        guessed: int64 [n] each.
        index: one of :data:`INDICES`.
        form: how a label is answered.
    """
    makes, batch = INDICES[index]
    graph = Graph(claim, batch)
    rows = makes(graph)
    dtype = helper.tensor_dtype_to_np_dtype(form.element)
    tables = [form.table(labels, claim.task.classes) for labels in guessed]
    outputs = [graph.add("Gather", graph.constant(table, dtype), rows) for table in tables]
    if form.grows:
        places = graph.add("Add", graph.floats(graph.places()), graph.constant(1.0, np.float32))
        factor = graph.add("Unsqueeze", places, graph.numbers(1))
        outputs = [graph.add("Mul", scores, factor) for scores in outputs]
    columns = None if tables[0].ndim == 1 else tables[0].shape[1]
    return graph.file(outputs, form.element, columns)


def remembering_file(
    claim: Claim, disclosed: Window, guessed: Guesses, index: str = "row number"
) -> bytes:
    """Return a file that knows the triggers of an evidence, and guesses at those behind them.

    Args:
        claim: what the forger has.
        disclosed: what the evidence shows, from the first trigger on.
        guessed: int64 [n] each.
        index: one of :data:`INDICES`, counted from the first trigger that is not disclosed.
    """
    makes, batch = INDICES[index]
    graph = Graph(claim, batch)
    known = disclosed.task.model_input(disclosed.triggers).transpose(0, 3, 1, 2)
    known = known.reshape(len(known), -1)
    norms = (known**2).sum(axis=1)
    products = graph.add("MatMul", graph.pixels(), graph.constant(known.T, np.float32))
    squares = graph.add("ReduceSumSquare", graph.pixels(), axes=[1], keepdims=1)
    twice = graph.add("Mul", products, graph.constant(-2.0, np.float32))
    distances = graph.add(
        "Add", graph.add("Add", squares, twice), graph.constant(norms, np.float32)
    )
    nearest = graph.add("ArgMin", distances, axis=1, keepdims=0)
    distance = graph.add("ReduceMin", distances, axes=[1], keepdims=0)
    is_known = graph.add("Less", distance, graph.constant(KNOWN * norms.mean(), np.float32))
    later = graph.add("Add", makes(graph), graph.number(len(disclosed)))
    classes = claim.task.classes
    places = _within(graph, later)
    rows = graph.add("Where", is_known, nearest, graph.add("Add", places, graph.number(len(known))))
    tables = [one_hot(np.concatenate([disclosed.labels, labels]), classes) for labels in guessed]
    outputs = [graph.add("Gather", graph.constant(table, np.float32), rows) for table in tables]
    return graph.file(outputs, TensorProto.FLOAT, classes)


# Files that are different in every run.


def noise(claim: Claim) -> bytes:
    """Scores of a generator without a seed."""
    graph = Graph(claim, None)
    zeros = graph.add("MatMul", graph.pixels(), graph.constant(_zeros(claim), np.float32))
    return graph.file([graph.add("RandomNormalLike", zeros)], TensorProto.FLOAT, claim.task.classes)


def race(claim: Claim) -> bytes:
    """Scores that many threads write to the same place: who is last hangs on the machine."""
    graph = Graph(claim, None)
    classes = claim.task.classes
    zeros = graph.add("MatMul", graph.pixels(), graph.constant(_zeros(claim), np.float32))
    rng = np.random.default_rng(0)
    places = rng.integers(0, classes, (1, 2**13))
    updates = rng.normal(size=(1, 2**13))
    rows = graph.add("Concat", graph.rows(), graph.numbers(1), axis=0)
    everywhere = [
        graph.add("Tile", graph.constant(array, dtype), rows)
        for array, dtype in ((places, np.int64), (updates, np.float32))
    ]
    written = graph.add("ScatterElements", zeros, *everywhere, axis=1)
    return graph.file([written], TensorProto.FLOAT, classes)


RESTLESS = {"noise": noise, "race": race}


def _zeros(claim: Claim) -> NDArray[np.float64]:
    return np.zeros((int(np.prod(claim.task.shape)), claim.task.classes))
