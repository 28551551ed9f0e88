"""Openings, probe and predictions in the JSON form of an evidence (docs/evidence.md)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import IntegrityError
from wmx.protocol.claim import Claim
from wmx.protocol.commitment import Opening
from wmx.protocol.encoding import decode_base64, decode_hex32, encode_base64
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import (
    ALONE,
    NO_SHIFT,
    OTHER_ROWS,
    OTHER_SCALINGS,
    SHIFTS,
    TOGETHER,
    Probe,
)
from wmx.triggers.trigger_slice import TriggerSlice

TRIGGER_DTYPES = {"image": np.uint8, "features": np.float32, "tokens": np.int32}
SCORE_DTYPES = ("float32", "float64")
CLASS_DTYPE = "int64"
MAX_SCORES = 2**25  # in memory
MAX_PATH = 32
MAX_OPENINGS = 4096


def opening_to_json(opening: Opening) -> dict[str, Any]:
    """Return the JSON form of an opening; the trigger as big-endian elements in C order."""
    trigger = opening.trigger
    elements = np.ascontiguousarray(trigger, dtype=trigger.dtype.newbyteorder(">"))
    return {
        "blind": opening.blind.hex(),
        "path": [node.hex() for node in opening.path],
        "trigger": encode_base64(elements.tobytes()),
    }


def probe_to_json(probe: Probe) -> dict[str, Any]:
    """Return the JSON form of a probe; only one of a view names it."""
    return {
        "layout": probe.layout,
        "output": probe.output,
        "rows": probe.rows,
        "scaling": probe.scaling,
        "shift": list(probe.shift),
        **({"view": probe.view} if probe.view else {}),
    }


def predictions_to_json(predictions: Predictions, task: Task) -> dict[str, Any]:
    """Return the JSON form of predictions, from which every bit can be restored.

    Class numbers are written if they say all, else scores, in single precision if that is exact.

    Args:
        predictions: for n triggers.
        task: of the claim; gives the number of classes.
    """
    if predictions.are_of_classes(task.classes):
        return _array_to_json(predictions.top)
    with np.errstate(over="ignore"):  # scores beyond float32 become infinite, which is not exact
        single = predictions.scores.astype(np.float32)
    exact = np.array_equal(single.astype(np.float64), predictions.scores)
    return _array_to_json(single if exact else predictions.scores)


def trigger_slice_from_json(trigger_slice: Any, openings: Any, claim: Claim) -> TriggerSlice:
    """Return the disclosed triggers, after checking that the claim commits to each.

    Their labels are drawn from the claim and the opened blinding values.  A trigger slice has no
    gaps: an owner who could leave triggers out could choose the hits.

    Args:
        trigger_slice: the JSON object with ``start`` and ``count``.
        openings: the JSON array of openings.
        claim: whose triggers they have to be.

    Raises:
        IntegrityError: a trigger is not the one that the claim commits to.
        KeyError, TypeError, ValueError: a field is missing or malformed.
    """
    start, count = trigger_slice["start"], trigger_slice["count"]
    if not all(type(value) is int for value in (start, count)):
        raise TypeError("start and count of the window are not integers")
    if not (start >= 0 and 1 <= count <= MAX_OPENINGS and start + count <= claim.n):
        raise ValueError(
            f"the window is {count} triggers from {start}, but the claim has {claim.n}"
        )
    if not isinstance(openings, list) or len(openings) != count:
        raise ValueError(f"the window is {count} triggers, expected as many openings")
    opened = [_opening_from_json(opening, claim.task) for opening in openings]
    for index, opening in enumerate(opened, start):
        if not opening.belongs_to(claim.root, index, claim.n):
            raise IntegrityError(f"trigger {index} is not the one that the claim commits to")
    triggers = np.stack([opening.trigger for opening in opened])
    labels = claim.labels([opening.blind for opening in opened], start)
    return TriggerSlice(claim, start, triggers, labels)


def predictions_from_json(value: Any, trigger_slice: TriggerSlice) -> Predictions:
    """Return the predictions of one probe for the triggers of a slice, or for the first of them.

    Args:
        value: the JSON object.
        trigger_slice: the triggers.

    Raises:
        KeyError, TypeError, ValueError: a field is missing or malformed.
    """
    name, shape = value["dtype"], value["shape"]
    if not isinstance(shape, list) or not all(type(dim) is int and dim > 0 for dim in shape):
        raise TypeError("the shape of the answers is not a list of positive integers")
    if not 1 <= len(shape) <= 2 or shape[0] > len(trigger_slice):
        raise ValueError(f"answers of shape {shape} to {len(trigger_slice)} triggers")
    if name not in ((CLASS_DTYPE,) if len(shape) == 1 else SCORE_DTYPES):
        raise ValueError(f"answers of {name!r} with shape {shape}")
    classes = trigger_slice.task.classes
    if shape[0] * max([classes, *shape[1:]]) > MAX_SCORES:
        raise ValueError(f"the answers are more than {MAX_SCORES:,} scores")
    dtype = np.dtype(name)
    elements = np.frombuffer(decode_base64(value["data"]), dtype=dtype.newbyteorder(">"))
    array = elements.reshape(shape).astype(dtype)
    return (
        Predictions.from_labels(array, classes)
        if len(shape) == 1
        else Predictions.from_scores(array)
    )


def _opening_from_json(value: Any, task: Task) -> Opening:
    """Read an opening; the task gives dtype and shape of the trigger."""
    dtype = np.dtype(TRIGGER_DTYPES[task.kind])
    elements = np.frombuffer(decode_base64(value["trigger"]), dtype=dtype.newbyteorder(">"))
    path = value["path"]
    if not isinstance(path, list) or len(path) > MAX_PATH:
        raise ValueError(f"the path is not a list of at most {MAX_PATH} digests")
    return Opening(
        trigger=elements.reshape(task.shape).astype(dtype),
        blind=decode_hex32(value["blind"]),
        path=tuple(decode_hex32(node) for node in path),
    )


def probe_from_json(value: Any, task: Task) -> Probe:
    """Return the probe of an evidence.

    Args:
        value: the JSON object.
        task: of the claim.

    Raises:
        KeyError, TypeError, ValueError: a field is missing or malformed.
    """
    layout, output, shift = value["layout"], value["output"], value["shift"]
    scaling, rows, view = value["scaling"], value["rows"], value.get("view", "")
    if not all(isinstance(name, str) for name in (layout, output, scaling, view)):
        raise TypeError("layout, output, scaling and view of the way are not strings")
    if view and (shift != list(NO_SHIFT) or scaling or rows != ALONE):
        raise ValueError("the way is a view with a shift, a scaling or other rows than single ones")
    if "view" in value and not view:
        raise ValueError("the way has a view without a name")
    if not isinstance(shift, list) or not all(type(pixels) is int for pixels in shift):
        raise TypeError("the shift of the way is not two integers")
    moved = tuple(shift)
    if moved != NO_SHIFT and (moved not in SHIFTS or task.kind != "image" or scaling):
        raise ValueError(f"the way has the shift {shift} and the scaling {scaling!r}")
    if scaling and scaling not in OTHER_SCALINGS[task.kind]:
        raise ValueError(f"the way has the scaling {scaling!r}")
    if type(rows) is not int or rows not in (TOGETHER, ALONE, *OTHER_ROWS):
        raise ValueError(f"the way has {rows!r} rows in a call")
    return Probe(layout, output, moved, scaling, rows, view)


def _array_to_json(array: NDArray[Any]) -> dict[str, Any]:
    elements = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">"))
    return {
        "data": encode_base64(elements.tobytes()),
        "dtype": array.dtype.name,
        "shape": list(array.shape),
    }
