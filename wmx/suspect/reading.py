"""What a suspect's outputs say: scores or class numbers, found by shape, never by name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.answers import Answers

MAX_OUTPUTS = 8
MAX_SCORES = 2**26  # of one output to all inputs; more are no classifier's, and would fill memory


def readings(outputs: dict[str, NDArray[Any]], n: int, classes: int) -> dict[str, Answers]:
    """Return what each classifier-like output says, by the output's name.

    Floats of shape [n, C >= 2] are scores, integers of shape [n] are class numbers; axes of length
    1 are dropped first.  Other outputs (feature maps, single numbers) say nothing.

    Args:
        outputs: arrays whose first axis is the n inputs, in the model's order.
        n: number of inputs.
        classes: K of the task.
    """
    found = {}
    for name, array in list(outputs.items())[:MAX_OUTPUTS]:
        if array.ndim < 1 or len(array) != n:
            continue
        flat = array.reshape([n, *(dim for dim in array.shape[1:] if dim != 1)])
        if np.issubdtype(flat.dtype, np.floating) and flat.ndim == 2 and flat.shape[1] >= 2:
            if flat.size > max(MAX_SCORES, n * classes):
                continue
            found[name] = Answers.from_scores(flat)
        elif np.issubdtype(flat.dtype, np.integer) and flat.ndim == 1:
            found[name] = Answers.from_labels(flat, classes)
    return found
