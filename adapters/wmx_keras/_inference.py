"""Querying a Keras model on triggers."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.training.model_scores import wrong_scores


def scores_of(output: Any, classes: int) -> Any:
    """Extract the class scores [k, classes] from the output of a model.

    Args:
        output: a tensor, a tuple that starts with one, or a dict of one.
        classes: their expected number.

    Raises:
        CannotRunError: there are no scores, or they are for another number of classes.
    """
    scores = output[0] if isinstance(output, tuple | list) and output else output
    if isinstance(output, dict) and len(output) == 1:
        (scores,) = output.values()
    if not hasattr(scores, "shape"):
        raise CannotRunError(f"the model returned {type(output).__name__}, expected class scores")
    if len(scores.shape) != 2 or scores.shape[1] != classes:
        raise wrong_scores(scores.shape, classes)
    return scores


def gives_logits(model: Any) -> bool:
    """Return whether a model returns logits rather than probabilities.

    Determined from its compiled loss, or else from whether its last layer is a softmax.
    """
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        return False  # as Keras interprets a loss given by name
    from_logits = getattr(loss, "from_logits", None)
    if from_logits is not None:
        return bool(from_logits)
    last = model.layers[-1] if model.layers else None
    if isinstance(last, keras.layers.Softmax):
        return False
    return getattr(last, "activation", None) is not keras.activations.softmax


def scores(model: Any, inputs: NDArray[Any], task: Task) -> NDArray[Any]:
    """Return a model's scores in inference mode, float64 [k, classes].

    Args:
        model: a Keras model.
        inputs: [k, *task.shape], normalized, channels last.
        task: gives the classes.
    """
    given = scores_of(model.predict_on_batch(inputs), task.classes)
    return np.asarray(given, dtype=np.float64)
