"""Inputs of lineage: drawn from a public hash, so that nobody chooses them (docs/disputes.md).

Input ``i`` is of family ``i mod F`` and drawn from a SHAKE-256 stream of its own with integer
arithmetic only, so that every machine draws the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.encoding import u32
from wmx.stream import shake, uniform_integers
from wmx.task import Task

STEPS = 2**16  # into which the range of a feature is cut
FEW_TOKENS = 8
Pixels: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class Ranges:
    """Between what the numbers of an input lie.

    Attributes:
        low, high: of each feature, float64 [F]; of all token ids, one number each; pixels need
            none.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, inputs: Sequence[NDArray[Any]], task: Task) -> Self:
        """Return the ranges that inputs in canonical form span.

        Args:
            inputs: [n, *task.shape] each; the triggers that a judge knows.
            task: of all of them.
        """
        if task.kind == "image":
            return cls(np.zeros(1), np.full(1, 255.0))
        axis = 0 if task.kind == "features" else None
        joined = np.concatenate(list(inputs)).astype(np.float64)
        return cls(
            np.atleast_1d(joined.min(axis=axis)).astype(np.float64),
            np.atleast_1d(joined.max(axis=axis)).astype(np.float64),
        )


def draw(seed: bytes, start: int, count: int, task: Task, ranges: Ranges) -> NDArray[Any]:
    """Return inputs ``start .. start + count - 1`` in canonical form, [count, *task.shape].

    Args:
        seed: 32 bytes.
        start: index of the first.
        count: how many.
        task: gives kind and shape.
        ranges: for features and tokens.
    """
    families = FAMILIES[task.kind]
    return np.stack(
        [
            families[index % len(families)][1](seed + u32(index), task, ranges)
            for index in range(start, start + count)
        ]
    )


def family_names(task: Task) -> list[str]:
    """Return the names of the families, in their order."""
    return [name for name, _ in FAMILIES[task.kind]]


def _pixels(seed: bytes, task: Task, ranges: Ranges) -> Pixels:
    """Every pixel by itself."""
    return _noise(seed, task.shape)


def _cells(seed: bytes, task: Task, ranges: Ranges) -> Pixels:
    """A grid of even cells."""
    height, width, _ = task.shape
    grid = _grid(seed, task)
    rows = np.arange(height) * len(grid) // height
    columns = np.arange(width) * grid.shape[1] // width
    cells: Pixels = grid[rows[:, None], columns[None, :]]
    return cells


def _smooth(seed: bytes, task: Task, ranges: Ranges) -> Pixels:
    """A coarse grid of values with straight lines between them."""
    return _interpolated(_grid(seed, task), task)


def _mixed(seed: bytes, task: Task, ranges: Ranges) -> Pixels:
    """Half a smooth picture, half pixels by themselves."""
    noise = _noise(seed + b"noise", task.shape).astype(np.int64)
    return ((noise + _smooth(seed, task, ranges)) // 2).astype(np.uint8)


def _uniform(seed: bytes, task: Task, ranges: Ranges) -> NDArray[np.float32]:
    """Every feature anywhere in its range."""
    steps = uniform_integers(seed, task.shape[0], STEPS + 1)
    return _between(steps, ranges)


def _beyond(seed: bytes, task: Task, ranges: Ranges) -> NDArray[np.float32]:
    """Every feature anywhere in a range twice as wide."""
    steps = uniform_integers(seed, task.shape[0], 2 * STEPS + 1)
    return _between(steps - STEPS // 2, ranges)


def _any_tokens(seed: bytes, task: Task, ranges: Ranges) -> NDArray[np.int32]:
    """Every token by itself."""
    low, high = int(ranges.low[0]), int(ranges.high[0])
    return (low + uniform_integers(seed, task.shape[0], high - low + 1)).astype(np.int32)


def _few_tokens(seed: bytes, task: Task, ranges: Ranges) -> NDArray[np.int32]:
    """A few tokens again and again."""
    low, high = int(ranges.low[0]), int(ranges.high[0])
    few = low + uniform_integers(seed + b"few", FEW_TOKENS, high - low + 1)
    return few[uniform_integers(seed, task.shape[0], FEW_TOKENS)].astype(np.int32)


Family: TypeAlias = tuple[str, Callable[[bytes, Task, Ranges], NDArray[Any]]]
FAMILIES: dict[str, tuple[Family, ...]] = {
    "image": (("pixels", _pixels), ("cells", _cells), ("smooth", _smooth), ("mixed", _mixed)),
    "features": (("uniform", _uniform), ("beyond", _beyond)),
    "tokens": (("any", _any_tokens), ("few", _few_tokens)),
}


def _noise(seed: bytes, shape: tuple[int, ...]) -> Pixels:
    return np.frombuffer(shake(seed, int(np.prod(shape))), np.uint8).reshape(shape)


def _grid(seed: bytes, task: Task) -> Pixels:
    """Return a grid of 2 to 9 values a side, uint8 [g, g', channels]."""
    height, width, channels = task.shape
    side = 2 + shake(seed + b"side", 1)[0] % 8
    return _noise(seed, (min(side, height), min(side, width), channels))


def _interpolated(grid: Pixels, task: Task) -> Pixels:
    """Return a grid brought to the task's size by bilinear interpolation in 256ths."""
    values = grid.astype(np.int64)
    for axis, length in enumerate(task.shape[:2]):
        cells = values.shape[axis]
        place = np.arange(length) * (cells - 1) * 256 // max(length - 1, 1)
        before = np.minimum(place // 256, max(cells - 2, 0))
        after = np.minimum(before + 1, cells - 1)
        shape = [-1 if other == axis else 1 for other in range(3)]
        part = (place - 256 * before).reshape(shape)
        values = (
            np.take(values, before, axis) * (256 - part) + np.take(values, after, axis) * part
        ) // 256
    return values.astype(np.uint8)


def _between(steps: NDArray[np.int64], ranges: Ranges) -> NDArray[np.float32]:
    return (ranges.low + (ranges.high - ranges.low) * (steps / STEPS)).astype(np.float32)
