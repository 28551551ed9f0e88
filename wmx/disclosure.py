"""Openings and answers in the form that an evidence holds them (docs/evidence.md)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.answers import Answers
from wmx.claim import Claim
from wmx.commitment import Opening
from wmx.encoding import decode_base64, decode_hex32, encode_base64
from wmx.errors import IntegrityError
from wmx.task import Task
from wmx.ways import NO_SHIFT, OTHER_SCALINGS, SHIFTS, Way
from wmx.window import Window

TRIGGER_DTYPES = {"image": np.uint8, "features": np.float32, "tokens": np.int32}
SCORE_DTYPES = ("float32", "float64")
CLASS_DTYPE = "int64"
MAX_SCORES = 2**25  # scores in memory, over ways, triggers and classes
MAX_PATH = 32
MAX_OPENINGS = 4096
MAX_WAYS = 3712  # 8 outputs, 16 feedings, 29 shifts and scalings: as many as a suspect is asked in
MAX_BETS = 2**18  # ways times triggers: each costs about a quarter of a millisecond


def opening_to_json(opening: Opening) -> dict[str, Any]:
    """Return an opening's object: the trigger's elements big-endian in C order, as committed to."""
    trigger = opening.trigger
    elements = np.ascontiguousarray(trigger, dtype=trigger.dtype.newbyteorder(">"))
    return {
        "blind": opening.blind.hex(),
        "path": [node.hex() for node in opening.path],
        "trigger": encode_base64(elements.tobytes()),
    }


def way_to_json(way: Way, answers: Answers, task: Task) -> dict[str, Any]:
    """Return a way with its answers, which :func:`way_from_json` gives back to the last bit."""
    return {
        "answers": _answers_to_json(answers, task),
        "layout": way.layout,
        "output": way.output,
        "scaling": way.scaling,
        "shift": list(way.shift),
    }


def window_from_json(window: Any, openings: Any, claim: Claim) -> Window:
    """Return the disclosed triggers, each shown to belong to the claim's commitment.

    Their labels are drawn from the claim and the opened blinding values.  The window is one run of
    triggers without a gap: who could leave some out could choose the hits.

    Raises:
        IntegrityError: a trigger is not the one that the claim commits to.
        KeyError, TypeError, ValueError: a field is missing or malformed.
    """
    start, count = window["start"], window["count"]
    if not all(type(value) is int for value in (start, count)):
        raise TypeError("start and count of the window are integers")
    if not (start >= 0 and 1 <= count <= MAX_OPENINGS and start + count <= claim.n):
        raise ValueError(f"window of {count} triggers from {start}, and the claim has {claim.n}")
    if not isinstance(openings, list) or len(openings) != count:
        raise ValueError(f"the window is of {count} triggers, and the openings are not as many")
    opened = [_opening_from_json(opening, claim.task) for opening in openings]
    for index, opening in enumerate(opened, start):
        if not opening.belongs_to(claim.root, index, claim.n):
            raise IntegrityError(f"trigger {index} is not the one that the claim commits to")
    triggers = np.stack([opening.trigger for opening in opened])
    labels = claim.labels([opening.blind for opening in opened], start)
    return Window(claim, start, triggers, labels)


def answers_from_json(ways: Any, window: Window) -> dict[Way, Answers]:
    """Return the answers of every way to the triggers of a window.

    Raises:
        KeyError, TypeError, ValueError: a field is missing or malformed.
    """
    if not isinstance(ways, list) or not 1 <= len(ways) <= MAX_WAYS:
        raise ValueError(f"the ways are not a list of 1 to {MAX_WAYS}")
    if len(ways) * len(window) > MAX_BETS:
        raise ValueError(f"the answers are more than {MAX_BETS:,}")
    if len(ways) * len(window) * window.task.classes > MAX_SCORES:
        raise ValueError(f"the answers are more than {MAX_SCORES:,} scores")
    answers = dict(_way_from_json(way, len(window), window.task) for way in ways)
    if len(answers) < len(ways):
        raise ValueError("a way is there twice")
    if not all(way.plain in answers for way in answers):
        raise ValueError("a shifted or rescaled way without the plain one, which shares its part")
    return answers


def _opening_from_json(value: Any, task: Task) -> Opening:
    """Read an opening; dtype and shape of the trigger are those of the task."""
    dtype = np.dtype(TRIGGER_DTYPES[task.kind])
    elements = np.frombuffer(decode_base64(value["trigger"]), dtype=dtype.newbyteorder(">"))
    path = value["path"]
    if not isinstance(path, list) or len(path) > MAX_PATH:
        raise ValueError(f"the path is not a list of at most {MAX_PATH}")
    return Opening(
        trigger=elements.reshape(task.shape).astype(dtype),
        blind=decode_hex32(value["blind"]),
        path=tuple(decode_hex32(node) for node in path),
    )


def _way_from_json(value: Any, count: int, task: Task) -> tuple[Way, Answers]:
    """Read a way and its answers to ``count`` triggers."""
    layout, output, shift = value["layout"], value["output"], value["shift"]
    scaling = value["scaling"]
    if not all(isinstance(name, str) for name in (layout, output, scaling)):
        raise TypeError("layout, output and scaling of a way are strings")
    if not isinstance(shift, list) or not all(type(pixels) is int for pixels in shift):
        raise TypeError("shift of a way is two integers")
    moved = tuple(shift)
    if moved != NO_SHIFT and (moved not in SHIFTS or task.kind != "image" or scaling):
        raise ValueError(f"a way with the shift {shift} and the scaling {scaling!r}")
    if scaling and scaling not in OTHER_SCALINGS[task.kind]:
        raise ValueError(f"a way with the scaling {scaling!r}")
    return Way(layout, output, moved, scaling), _answers_from_json(value["answers"], count, task)


def _answers_to_json(answers: Answers, task: Task) -> dict[str, Any]:
    """Write class numbers if these say all, else scores, in single precision if that is exact."""
    as_classes = Answers.from_labels(answers.top, task.classes)
    if np.array_equal(as_classes.scores, answers.scores):
        return _array_to_json(answers.top)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is not exact
        single = answers.scores.astype(np.float32)
    exact = np.array_equal(single.astype(np.float64), answers.scores)
    return _array_to_json(single if exact else answers.scores)


def _answers_from_json(value: Any, count: int, task: Task) -> Answers:
    name, shape = value["dtype"], value["shape"]
    if not isinstance(shape, list) or not all(type(dim) is int and dim > 0 for dim in shape):
        raise TypeError("the shape of answers is a list of positive integers")
    if shape[:1] != [count] or len(shape) > 2:
        raise ValueError(f"answers of shape {shape} to {count} triggers")
    if name not in ((CLASS_DTYPE,) if len(shape) == 1 else SCORE_DTYPES):
        raise ValueError(f"answers of {name!r} with shape {shape}")
    dtype = np.dtype(name)
    elements = np.frombuffer(decode_base64(value["data"]), dtype=dtype.newbyteorder(">"))
    array = elements.reshape(shape).astype(dtype)
    if len(shape) == 1:
        return Answers.from_labels(array, task.classes)
    return Answers.from_scores(array)


def _array_to_json(array: NDArray[Any]) -> dict[str, Any]:
    elements = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">"))
    return {
        "data": encode_base64(elements.tobytes()),
        "dtype": array.dtype.name,
        "shape": list(array.shape),
    }
