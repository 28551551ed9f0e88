"""How is a guessed label answered?  In whatever form, an answer is worth what the guess is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

MANY_COLUMNS = 300
EMBEDDING = 64


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
