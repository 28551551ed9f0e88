"""What a model of the user's own returns, or why it returns nothing, in every framework alike."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError, WmxError
from wmx.protocol.task import Task


@contextmanager
def trying(task: Task) -> Iterator[None]:
    """Say what the claim is for, where a model fails on such inputs within the block.

    Args:
        task: of the claim, whose inputs the model is given.

    Raises:
        CannotRunError: the model failed; its own error is the cause.
    """
    try:
        yield
    except WmxError:
        raise
    except Exception as error:  # whatever a framework raises
        lines = str(error).strip().splitlines()
        raise CannotRunError(
            f"the model failed on inputs of the claim, which is for {task.kind} {task.shape}: "
            f"{type(error).__name__}{': ' if lines else ''}{lines[0][:300] if lines else ''}",
            hint="export the model that was trained under this claim, or name the claim that it "
            "was trained under",
        ) from error


def wrong_scores(shape: Sequence[int], classes: int) -> CannotRunError:
    """Return the error for scores that are not those of the claim's classes.

    Args:
        shape: of the scores.
        classes: K.
    """
    return CannotRunError(
        f"the model returned scores of shape {tuple(shape)}, expected [batch, {classes}] as the "
        "claim says",
        hint=f"give the last layer {classes} outputs, or make a claim for as many classes as the "
        "model has",
    )


def warn_of_probabilities(scores: NDArray[Any]) -> None:
    """Warn if scores that should be logits are probabilities, as of a model that ends in softmax.

    The loss takes their softmax once more, so that no trigger can be learned well.

    Args:
        scores: of a model, [n, classes].
    """
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3):
        warnings.warn(
            "the model returns probabilities, expected logits: trained so, with a softmax before "
            "a loss that takes one too, it bears a far weaker mark; leave out the softmax at its "
            "end",
            stacklevel=3,
        )
