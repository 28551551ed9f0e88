"""Scalings: the value ranges and normalizations in which a model may expect pixels or features.

The claim states the normalization of the owner's model.  A thief may have moved it into the graph,
or continued training with another one.  So the usual ones are tried besides the claim's own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.task import Task
from wmx.statistics.probe import OTHER_SCALINGS
from wmx.suspect.pixels import with_channels

Array = NDArray[Any]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _pixels(values: Array) -> Array:
    return values


def _unit(values: Array) -> Array:
    return values / 255.0


def _signed(values: Array) -> Array:
    return values / 127.5 - 1.0


def _imagenet(values: Array) -> Array:
    scaled: Array = (values / 255.0 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    return scaled


def _centered(values: Array) -> Array:
    return values - 128.0


PIXELS, UNIT, SIGNED, IMAGENET = OTHER_SCALINGS["image"]
(RAW,) = OTHER_SCALINGS["features"]
CENTERED_PIXELS = "-128..127"
OF_PIXELS: dict[str, Callable[[Array], Array]] = {
    PIXELS: _pixels,
    UNIT: _unit,
    SIGNED: _signed,
    IMAGENET: _imagenet,
    CENTERED_PIXELS: _centered,
}


def other_scalings(task: Task, channels: int) -> tuple[str, ...]:
    """Return the usual scalings that are not the claim's own, for inputs that are floats.

    Args:
        task: of the claim.
        channels: that the model takes, for images.
    """
    if task.kind == "tokens":
        return ()
    if task.kind == "features":
        probe = np.linspace(-1.0, 1.0, 3)[:, None] * np.ones(task.shape[0])
        return () if np.array_equal(task.model_input(probe), probe.astype(np.float32)) else (RAW,)
    levels = np.array([0.0, 255.0])[:, None, None, None] * np.ones(task.shape[-1])
    own = task.model_input(levels)
    return tuple(
        name
        for name in OTHER_SCALINGS["image"]
        if (name != IMAGENET or channels == len(IMAGENET_MEAN))
        and not _agree(own, OF_PIXELS[name](with_channels(levels, channels)))
    )


def _agree(own: Array, other: Array) -> bool:
    """Return whether a scaling maps black and white to the same values as the claim's own."""
    return own.shape == other.shape and bool(np.allclose(own, other, atol=1e-6))
