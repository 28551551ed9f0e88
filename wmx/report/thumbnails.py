"""Thumbnails of disclosed triggers, as PNG data URLs for the report."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.images import pillow
from wmx.protocol.encoding import encode_base64

MAX_SIDE = 96  # pixels; larger triggers lose every second row and column, every third, ...
MOST_VALUES = 12


def thumbnail(trigger: NDArray[np.uint8]) -> str:
    """Return the ``data:`` address of a PNG of an image trigger, uint8 [H, W, C].

    One channel is gray and three are red, green and blue; any other number of channels is shown in
    gray, side by side.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    step = -(-max(trigger.shape[:2]) // MAX_SIDE)
    pixels = trigger[::step, ::step]
    if pixels.shape[2] != 3:
        pixels = np.concatenate(list(np.moveaxis(pixels, 2, 0)), axis=1)
    written = BytesIO()
    pillow().fromarray(np.ascontiguousarray(pixels)).save(written, "PNG")
    return f"data:image/png;base64,{encode_base64(written.getvalue())}"


def first_values(trigger: NDArray[Any]) -> str:
    """Return the first 12 numbers of a feature vector or token sequence, separated by spaces."""
    shown = " ".join(f"{value:g}" for value in trigger[:MOST_VALUES])
    return shown + (" ..." if len(trigger) > MOST_VALUES else "")
