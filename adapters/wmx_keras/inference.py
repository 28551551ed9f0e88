"""Querying a Keras model about triggers."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError
from wmx.protocol.task import Task


def scores_of(output: Any, classes: int) -> Any:
    """Return the scores [k, classes] in what a model returned.

    Raises:
        CannotRunError: there are none, or they are for another number of classes.
    """
    scores = output[0] if isinstance(output, tuple | list) and output else output
    if isinstance(output, dict) and len(output) == 1:
        (scores,) = output.values()
    if not hasattr(scores, "shape"):
        raise CannotRunError(f"the model returned {type(output).__name__}, expected class scores")
    if len(scores.shape) != 2 or scores.shape[1] != classes:
        raise CannotRunError(
            f"the model returned scores of shape {tuple(scores.shape)}, "
            f"expected [batch, {classes}] as the claim says"
        )
    return scores


def gives_logits(model: Any) -> bool:
    """Say whether a model returns logits rather than probabilities.

    Its compiled loss says so; where it does not, a last layer with softmax gives probabilities.
    """
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        return False  # what Keras takes a loss of that name to mean
    from_logits = getattr(loss, "from_logits", None)
    if from_logits is not None:
        return bool(from_logits)
    last = model.layers[-1] if model.layers else None
    if isinstance(last, keras.layers.Softmax):
        return False
    return getattr(last, "activation", None) is not keras.activations.softmax


def scores(model: Any, inputs: NDArray[Any], task: Task) -> NDArray[Any]:
    """Return the scores [k, classes] of ``model`` in inference mode.

    Args:
        model: a Keras model.
        inputs: [k, *task.shape], channels last, as the model sees them.
        task: gives the classes.
    """
    given = scores_of(model.predict_on_batch(inputs), task.classes)
    return np.asarray(given, dtype=np.float64)
