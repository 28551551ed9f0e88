"""Checking that an exported ONNX file gives the same scores as the model in its framework."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.suspect.inputs import feedings
from wmx.suspect.own_model import loaded_from
from wmx.training.model_scores import warn_of_probabilities

BATCH_SIZES = (1, 5)
TOLERANCE = 1e-3  # relative to the largest score; float32 rounding gives about 1e-6


def check_export(
    data: bytes,
    reference: Callable[[NDArray[Any]], NDArray[Any]],
    task: Task,
    *,
    logits: bool = False,
) -> None:
    """Validate an ONNX file, load it and compare its scores with the framework's.

    Args:
        data: the file.
        reference: the model in its framework: maps inputs [n, *task.shape], channels last, to
            scores [n, classes].
        task: gives the inputs.
        logits: whether the model should return logits; a warning says so if it does not.

    Raises:
        CannotRunError: the file is not valid, cannot be loaded or fed, or does not agree.
    """
    import onnx

    try:
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CannotRunError(
            f"the exported file is not valid ONNX: {error}",
            hint="this is a bug of the exporter; try another version of it",
        ) from None
    session = loaded_from(data, "the exported file")
    found = feedings(session.inputs, task) if len(session.inputs) == 1 else []
    if not found or not found[0].is_plain(task):
        raise CannotRunError(
            f"the exported file takes {'; '.join(map(str, session.inputs))}, "
            f"expected one input of {task.kind} {task.shape}"
        )
    if found[0].batch is not None:
        raise CannotRunError(
            f"the exported file takes batches of {found[0].batch} only, expected any batch size",
            hint="the model's forward fixes the batch: look for view and reshape in it",
        )
    for batch_size in BATCH_SIZES:
        inputs = task.example_inputs(batch_size, seed=batch_size)
        expected = reference(inputs)
        given = session.run({found[0].input: found[0].arranged(inputs)})[0]
        _compare(np.asarray(given), expected, batch_size)
    if logits:
        warn_of_probabilities(expected)


def _compare(given: NDArray[Any], expected: NDArray[Any], batch_size: int) -> None:
    if given.shape != expected.shape:
        raise CannotRunError(
            f"the exported file gives {given.shape} for {batch_size} inputs, "
            f"expected {expected.shape}"
        )
    scale = max(1e-6, float(np.abs(expected).max()))
    difference = float(np.abs(given - expected).max()) / scale
    if not difference <= TOLERANCE:  # a nan must not pass
        raise CannotRunError(
            f"onnxruntime and the framework differ by {difference:.2g} of the largest score at "
            f"batch size {batch_size}, expected at most {TOLERANCE:g}",
            hint="look for randomness in the model's forward, or values that depend on the batch",
        )
