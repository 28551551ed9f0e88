"""What a suspect's outputs say: scores or class numbers, found by shape, never by name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.answers import Answers

MAX_OUTPUTS = 8
MAX_SCORES = 2**24  # of all outputs to all inputs; more are no classifier's, and would fill memory


def readings(outputs: dict[str, NDArray[Any]], n: int, classes: int) -> dict[str, Answers]:
    """Return what each classifier-like output says, by the output's name.

    Floats of shape [n, C >= 2] are scores, integers of shape [n] are class numbers; axes of length
    1 are dropped first.  Of two classes, floats of shape [n] are the score of the second one: its
    probability if all lie in 0..1, else its logit.  Other outputs (feature maps, single numbers)
    say nothing, nor do those whose scores would be more than :data:`MAX_SCORES` with those of
    narrower ones.

    Args:
        outputs: arrays whose first axis is the n inputs, in the model's order.
        n: number of inputs.
        classes: K of the task.
    """
    flat = {
        name: array.reshape([n, *(dim for dim in array.shape[1:] if dim != 1)])
        for name, array in list(outputs.items())[:MAX_OUTPUTS]
        if array.ndim >= 1 and len(array) == n
    }
    left = max(MAX_SCORES, n * classes)
    found = {}
    for name in sorted(flat, key=lambda name: flat[name].size):
        array = flat[name]
        if np.issubdtype(array.dtype, np.floating) and array.ndim == 2 and array.shape[1] >= 2:
            left -= array.size
            if left >= 0:
                found[name] = Answers.from_scores(array)
        elif np.issubdtype(array.dtype, np.floating) and array.ndim == 1 and classes == 2:
            found[name] = Answers.from_scores(_of_both_classes(array))
        elif np.issubdtype(array.dtype, np.integer) and array.ndim == 1:
            found[name] = Answers.from_labels(array, classes)
    return {name: found[name] for name in flat if name in found}


def _of_both_classes(second: NDArray[Any]) -> NDArray[np.float64]:
    """Return scores [n, 2] from the one number [n] that a binary classifier gives."""
    values = second.astype(np.float64)
    with np.errstate(invalid="ignore"):
        probable = bool(((values >= 0.0) & (values <= 1.0)).all())
    return np.stack([1.0 - values if probable else -values, values], axis=1)
