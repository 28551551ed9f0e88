"""Do the caller's inputs lie where the claim says?  Its triggers are fed on the claim's scale.

A model that sees its data on one scale and the triggers on another learns the two apart, and
nothing says so before the mark is looked for.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.watermark import Watermark

# in widths of the range that pixels 0 to 255 become, or that a feature's triggers have
FAR_OUT = 8.0
SUSPICIOUS = 2.5  # color jitter, noise and the normalization of each picture stay within
ENOUGH_ROWS = 8  # whose least and greatest values say something about all data
NARROW = 8.0
NARROW_ALONE = 64.0  # a single picture may have little contrast
HOW = (
    "normalize the data as the claim says (wmx claim show), or make a claim that says how they are"
)


def require_scale(values: NDArray[Any], watermark: Watermark) -> None:
    """Refuse inputs that cannot be on the claim's scale, and warn of those that hardly are.

    Args:
        values: inputs of the caller, [...] for images, [n, F] or [F] for features.
        watermark: its task says which values pixels 0 and 255 become; its triggers, where features
            lie.

    Raises:
        UsageError: a pixel is further out than augmentation or another normalization can bring it.
    """
    kind = watermark.task.kind
    if not values.size or values.dtype.kind not in "fu":
        return
    if kind == "image":
        _require_pixels(values, watermark)
    elif kind == "features" and values.dtype.kind == "f":
        problem = _feature_problem(values.reshape(-1, values.shape[-1]), watermark.inputs)
        if problem is not None:
            warnings.warn(f"{problem}; {HOW}", stacklevel=2)


def narrow_pixels(images: NDArray[Any]) -> str | None:
    """Return why images seem to be of fewer levels than 0 to 255; ``None`` if they do not.

    Args:
        images: uint8 [n, ...].
    """
    least, most = int(images.min()), int(images.max())
    if len(images) < ENOUGH_ROWS or not 0 < most - least < 255 / NARROW:
        return None
    return (
        f"the images hold {least} to {most}, and the claim has pixels of 0 to 255: their triggers "
        "would be far brighter"
    )


def _require_pixels(values: NDArray[Any], watermark: Watermark) -> None:
    task = watermark.task
    if values.dtype == np.uint8:
        if values.ndim > len(task.shape) and (problem := narrow_pixels(values)) is not None:
            warnings.warn(f"{problem}; multiply them up to 255", stacklevel=3)
        return
    levels = task.levels()
    low, high = float(levels.min()), float(levels.max())
    span = high - low
    least, most = float(values.min()), float(values.max())
    said = (
        f"the inputs hold {least:g} to {most:g}, and the claim's task has images of "
        f"{low:g} to {high:g}"
    )
    if least < low - FAR_OUT * span or most > high + FAR_OUT * span:
        raise UsageError(said, hint=f"{HOW}: range, mean and std")
    alone = values.ndim <= len(task.shape) or len(values) < ENOUGH_ROWS
    narrow = 0 < most - least < span / (NARROW_ALONE if alone else NARROW)
    if least < low - SUSPICIOUS * span or most > high + SUSPICIOUS * span or narrow:
        warnings.warn(f"{said}; {HOW}: range, mean and std", stacklevel=3)


def _feature_problem(values: NDArray[Any], triggers: NDArray[Any]) -> str | None:
    """Return why features seem to be on another scale than those of the triggers.

    A few columns may be anything, as some have long tails; so most of them decide.

    Args:
        values: of the caller, floats [n, F].
        triggers: as they are fed, [m, F].
    """
    low, high = triggers.min(axis=0), triggers.max(axis=0)
    varies = high > low
    if not varies.any() or values.shape[1] != len(low):
        return None
    span = (high - low)[varies]
    own = values[:, varies]
    out = (own < low[varies] - SUSPICIOUS * span) | (own > high[varies] + SUSPICIOUS * span)
    strange = out.mean(axis=0) > 0.5
    if len(own) >= ENOUGH_ROWS:
        strange |= np.ptp(own, axis=0) < span / NARROW
    if strange.mean() <= 0.5:
        return None
    return (
        f"{strange.sum()} of {len(strange)} features lie far outside the quantiles of the claim, "
        "or vary far less"
    )
