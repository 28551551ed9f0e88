"""Querying a Flax model on triggers without changing its state."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from numpy.typing import NDArray

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.model_scores import wrong_scores

Model: TypeAlias = nnx.Module | tuple[linen.Module, Mapping[str, Any]]
Call: TypeAlias = Callable[[Any, Any], Any]

INFERENCE = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}


@dataclass(frozen=True)
class PureModel:
    """A model in inference mode as a function of its parameters.

    Attributes:
        params: the trainable parameters, a pytree.
        apply: maps (params, inputs [k, ...]) to the model's output; BatchNorm uses its running
            statistics without updating them, dropout is off.
    """

    params: Any
    apply: Callable[[Any, Any], Any]


def pure_model(model: Model, call: Call | None = None, wrt: Any = nnx.Param) -> PureModel:
    """Return a model as a function of its parameters, usable inside and outside ``jit``.

    Args:
        model: an NNX module, or (Linen module, its variables).
        call: (model, inputs) to logits in inference mode, for models with further arguments.  For
            Linen it is called with (variables, inputs).  By default the arguments ``train``,
            ``training`` and ``is_training`` are set to False, ``deterministic`` and
            ``use_running_average`` to True, if the model has them.
        wrt: which NNX variables are trained.

    Raises:
        UsageError: the model is of neither type.
    """
    if isinstance(model, nnx.Module):
        still = nnx.view(
            model, raise_if_not_found=False, deterministic=True, use_running_average=True
        )
        parts: Any = nnx.split(still, wrt, ...)
        graph, params, rest = parts
        query = call or _with_inference_arguments(type(model).__call__)
        return PureModel(
            params, lambda p, inputs: query(nnx.merge(graph, p, rest, copy=True), inputs)
        )
    if (
        isinstance(model, tuple)
        and len(model) == 2
        and isinstance(model[0], linen.Module)
        and isinstance(model[1], Mapping)
        and "params" in model[1]
    ):
        module, variables = model
        others = {name: value for name, value in variables.items() if name != "params"}
        arguments: dict[str, Any] = _inference_arguments(type(module).__call__)
        query = call or (lambda v, inputs: module.apply(v, inputs, **arguments))
        return PureModel(
            variables["params"], lambda p, inputs: query({**others, "params": p}, inputs)
        )
    raise UsageError(
        f"the model is {type(model).__name__}, expected an nnx.Module, or for Linen "
        'the pair (module, {"params": ..., "batch_stats": ...})'
    )


def _inference_arguments(call: Callable[..., Any]) -> dict[str, bool]:
    known = inspect.signature(call).parameters
    return {name: value for name, value in INFERENCE.items() if name in known}


def _with_inference_arguments(call: Callable[..., Any]) -> Call:
    arguments = _inference_arguments(call)
    return lambda model, inputs: model(inputs, **arguments)


def scores_of(output: Any, classes: int) -> jax.Array:
    """Extract the logits [k, classes] from the output of a model.

    Args:
        output: an array, or a tuple that starts with one.
        classes: their expected number.

    Raises:
        CannotRunError: there are no logits, or they are for another number of classes.
    """
    scores = output[0] if isinstance(output, tuple | list) and output else output
    if not hasattr(scores, "shape"):
        raise CannotRunError(
            f"the model returned {type(output).__name__}, expected logits: an array, or a tuple "
            "that starts with one"
        )
    if len(scores.shape) != 2 or scores.shape[1] != classes:
        raise wrong_scores(scores.shape, classes)
    return jnp.asarray(scores)


def scores(
    model: Model, inputs: NDArray[Any], task: Task, call: Call | None = None
) -> NDArray[Any]:
    """Return a model's logits in inference mode, float64 [k, classes].

    Args:
        model: an NNX module, or (Linen module, its variables).
        inputs: [k, *task.shape], normalized, channels last.
        task: gives the classes.
        call: as in :func:`pure_model`.
    """
    pure = pure_model(model, call)
    given = scores_of(pure.apply(pure.params, inputs), task.classes)
    return np.asarray(given, dtype=np.float64)
