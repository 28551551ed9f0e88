"""A claim dated before the models it is about: their answers to typical images are foreseen.

A date older than a model does not take the tries away.  What any good model of the future will say
to a picture that nobody takes for another can be guessed today: its class.  Then notes are ground
(:mod:`forging.grinding`) against the guess as against the answers of a model at hand.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from support.forging.victim import Victim
from wmx.protocol.task import Task


def typical(
    scouts: Sequence[Victim],
    task: Task,
    images: NDArray[np.uint8],
    classes: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    """Return the indices of images, of a class each, of which all scouts are surest.

    Args:
        scouts: models of the forger's own.
        images: [n, H, W, C].
        classes: of them, int64 [n].
        count: of images, at most the number of classes.
    """
    inputs = task.model_input(images).reshape(len(images), -1)
    margins = np.min([_margins(scout.scores(inputs), classes) for scout in scouts], axis=0)
    surest = [
        np.flatnonzero(classes == label)[margins[classes == label].argmax()]
        for label in range(task.classes)
    ]
    return np.array(sorted(surest, key=lambda index: -margins[index])[:count])


def _margins(scores: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return by how much the score of the class is above all others, negative where it is not."""
    rows = np.arange(len(classes))
    others = scores.copy()
    others[rows, classes] = -np.inf
    margins: NDArray[np.float64] = scores[rows, classes] - others.max(axis=1)
    return margins
