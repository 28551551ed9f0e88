"""Image triggers of random black-and-white cells, which networks memorize at no cost in accuracy.

A grid of ``grid`` x ``grid`` cells, each 0 or 255, is laid over the image, per channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.prf import shake
from wmx.protocol.task import Task

MIN_SIDE = 8
MAX_SIDE = 1024


@dataclass(frozen=True)
class Cells:
    """The trigger family ``cells``.

    Attributes:
        grid: cells per side, 4 to 64; 7 measured best on small images.
    """

    grid: int = 7

    def __post_init__(self) -> None:
        if not 4 <= self.grid <= 64:
            raise ValueError(f"grid is {self.grid}, expected 4 to 64")

    @classmethod
    def from_description(cls, description: Any) -> Self:
        """Parse the description in a claim.

        Raises:
            KeyError, TypeError, ValueError: it is malformed.
        """
        if type(description["grid"]) is not int:
            raise TypeError("grid is not an integer")
        return cls(description["grid"])

    def check(self, task: Task, n: int) -> None:
        """Refuse other kinds, sides outside 8 to 1024 pixels, and a grid finer than the image.

        Arguments and errors as of :meth:`wmx.triggers.Generator.check`.
        """
        if task.kind != "image":
            raise ValueError(f"cells are for images, and the task is {task.kind!r}")
        height, width, _ = task.shape
        if not MIN_SIDE <= min(height, width) <= max(height, width) <= MAX_SIDE:
            raise ValueError(
                f"image of {height} x {width}, expected sides of {MIN_SIDE} to {MAX_SIDE}"
            )
        if self.grid > min(height, width):
            raise ValueError(f"grid of {self.grid} is finer than the image, {height} x {width}")

    def describe(self) -> dict[str, Any]:
        """Return ``{"name": "cells", "grid": ...}``."""
        return {"name": "cells", "grid": self.grid}

    def draw(self, seeds: Sequence[bytes], task: Task) -> NDArray[np.uint8]:
        """Return uint8 [n, H, W, C]: pixel (r, c) lies in cell (r * grid // H, c * grid // W).

        The bits of a stream, most significant first, fill the cells row by row, the channels of a
        cell side by side.  Arguments as of :meth:`wmx.triggers.Generator.draw`.
        """
        height, width, channels = task.shape
        count = self.grid * self.grid * channels
        streams = b"".join(shake(seed, (count + 7) // 8) for seed in seeds)
        packed = np.frombuffer(streams, dtype=np.uint8).reshape(len(seeds), -1)
        bits = np.unpackbits(packed, axis=1, count=count)
        cells = (bits * np.uint8(255)).reshape(-1, self.grid, self.grid, channels)
        rows = np.arange(height) * self.grid // height
        columns = np.arange(width) * self.grid // width
        return np.ascontiguousarray(cells[:, rows[:, None], columns[None, :]])
