"""ONNX files that answer labels without knowing one trigger.

A file is made of rows and a form: what it tells rows apart by (:mod:`forging.rows`), and how it
answers the guessed label of the trigger that a row seems to be (:mod:`forging.forms`).  Every file
has as many outputs as there are guesses, so that each is tried.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from support.forging.forms import SCORES, Form, one_hot
from support.forging.graphs import Graph
from support.forging.rows import ROWS, within
from wmx import Claim
from wmx.triggers.trigger_slice import TriggerSlice

KNOWN = 0.01  # squared distance to a known trigger, as a part of a trigger's own squares

Guesses = Sequence[NDArray[np.int64]]


def forged_file(
    claim: Claim, guessed: Guesses, told_by: str = "row number", form: Form = SCORES
) -> bytes:
    """Return a file that answers each row's guessed label, one output for each guess.

    Args:
        claim: what the forger has.
        guessed: int64 [n] each.
        told_by: one of :data:`forging.rows.ROWS`.
        form: how a label is answered.
    """
    tell_rows, batch = ROWS[told_by]
    graph = Graph(claim, batch)
    index = tell_rows(graph)
    dtype = helper.tensor_dtype_to_np_dtype(form.element)
    tables = [form.table(labels, claim.task.classes) for labels in guessed]
    outputs = [graph.add("Gather", graph.constant(table, dtype), index) for table in tables]
    if form.grows:
        places = graph.add("Add", graph.floats(graph.places()), graph.constant(1.0, np.float32))
        factor = graph.add("Unsqueeze", places, graph.numbers(1))
        outputs = [graph.add("Mul", scores, factor) for scores in outputs]
    columns = None if tables[0].ndim == 1 else tables[0].shape[1]
    return graph.file(outputs, form.element, columns)


def remembering_file(
    claim: Claim, disclosed: TriggerSlice, guessed: Guesses, told_by: str = "row number"
) -> bytes:
    """Return a file that knows the triggers of an evidence, and guesses at those behind them.

    Args:
        claim: what the forger has.
        disclosed: what the evidence shows, from the first trigger on.
        guessed: int64 [n] each.
        told_by: one of :data:`forging.rows.ROWS`, counted from the first trigger behind those.
    """
    tell_rows, batch = ROWS[told_by]
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
    later = graph.add("Add", tell_rows(graph), graph.number(len(disclosed)))
    classes = claim.task.classes
    places = within(graph, later)
    behind = graph.add("Add", places, graph.number(len(known)))
    index = graph.add("Where", is_known, nearest, behind)
    tables = [one_hot(np.concatenate([disclosed.labels, labels]), classes) for labels in guessed]
    outputs = [graph.add("Gather", graph.constant(table, np.float32), index) for table in tables]
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
