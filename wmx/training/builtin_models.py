"""Sizes of the built-in networks, the same in every framework, and loading a user's network."""

from collections.abc import Callable, Mapping
from typing import Any

from wmx._internal.imports import callable_from
from wmx.errors import CannotRunError, UsageError, WmxError
from wmx.protocol.task import Task

LARGEST_UNSTRIDED_SIDE = 64
HIDDEN_UNITS = 256
EMBEDDING_SIZE = 64


def named_network(
    spec: str,
    task: Task,
    built_in: Mapping[str, Callable[..., Any]],
    *,
    vocabulary: int | None,
    more: Mapping[str, Any] | None = None,
) -> Any:
    """Build the network that ``--model`` names.

    Args:
        spec: ``"cnn"``, ``"mlp"`` or ``"package.module:callable"``, called with ``input_shape=``
            (the task's shape; height, width, channels for images) and ``num_classes=``.
        task: gives shape and classes.
        built_in: the framework's ``cnn`` and ``mlp``; ``mlp`` also takes ``vocabulary=``.
        vocabulary: for tokens, ids are below it.
        more: extra keyword arguments that the framework's networks take.

    Raises:
        UsageError: no such model, or it does not fit the task.
        CannotRunError: the callable failed.
    """
    arguments = {"input_shape": task.shape, "num_classes": task.classes, **(more or {})}
    if spec == "cnn":
        if task.kind != "image":
            raise UsageError(
                f"the model cnn is for images, and the data are {task.kind}", hint="--model mlp"
            )
        return built_in["cnn"](**arguments)
    if spec == "mlp":
        return built_in["mlp"](**arguments, vocabulary=vocabulary)
    if ":" not in spec:
        raise UsageError(f"no model {spec!r}, expected cnn, mlp or package.module:callable")
    make = callable_from(spec, "--model")
    try:
        return make(**arguments)
    except WmxError:
        raise
    except Exception as error:
        raise CannotRunError(
            f"--model: {spec}(input_shape={task.shape}, num_classes={task.classes}) failed: "
            f"{type(error).__name__}: {error}"
        ) from error
