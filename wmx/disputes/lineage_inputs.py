"""Inputs for lineage, drawn from a public hash so that nobody chooses them (docs/disputes.md).

Input ``i`` is of family ``i mod F`` and drawn from a SHAKE-256 stream of its own with integer
arithmetic only, so that every machine draws the same inputs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.protocol import jcs
from wmx.protocol.encoding import u32
from wmx.protocol.prf import shake, uniform_integers
from wmx.protocol.task import Task

STEPS = 2**16  # into which the range of a feature is cut
FEW_TOKENS = 8
SPREAD_OF_BYTES = 74  # standard deviation of uniform bytes
LEAST_SPREAD, MOST_SPREAD = 16, 1024  # in 256ths
Pixels: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class Scope:
    """What of the inputs depends on the claims: shape and ranges.

    Attributes:
        task: kind and shape.
        low, high: range of each feature, float64 [F]; of all token ids, float64 [1].
        contrasts: for images: center and spread of each channel, int64 [C], from the normalization
            of each claim; images take turns between these and full contrast.
    """

    task: Task
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    contrasts: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...] = ()

    @classmethod
    def of(cls, tasks: Iterable[Task], known: Sequence[NDArray[Any]]) -> Self:
        """Return the scope of some claims, in whatever order.

        Args:
            tasks: of the claims, of one kind and shape.
            known: triggers of the claims, [n, *task.shape] each; their range is that of features
                and tokens.
        """
        each = {jcs.dumps(task.to_json()): task for task in tasks}
        ordered = [each[text] for text in sorted(each)]
        task = ordered[0]
        if task.kind == "image":
            contrasts = tuple(_contrast(one) for one in ordered)
            return cls(task, np.zeros(1), np.full(1, 255.0), contrasts)
        axis = 0 if task.kind == "features" else None
        joined = np.concatenate(list(known)).astype(np.float64)
        return cls(
            task,
            np.atleast_1d(joined.min(axis=axis)).astype(np.float64),
            np.atleast_1d(joined.max(axis=axis)).astype(np.float64),
        )


def draw(seed: bytes, start: int, count: int, scope: Scope) -> NDArray[Any]:
    """Return inputs ``start .. start + count - 1`` in canonical form, [count, *task.shape].

    Args:
        seed: 32 bytes.
        start: index of the first input.
        count: number of inputs.
        scope: kind, shape and ranges.
    """
    families = FAMILIES[scope.task.kind]
    drawn = []
    for index in range(start, start + count):
        found = families[index % len(families)][1](seed + u32(index), scope)
        turn = index // len(families) % (1 + len(scope.contrasts))
        drawn.append(_at_contrast(found, *scope.contrasts[turn - 1]) if turn else found)
    return np.stack(drawn)


def family_names(task: Task) -> list[str]:
    """Return the names of the families, in their order."""
    return [name for name, _ in FAMILIES[task.kind]]


def _pixels(seed: bytes, scope: Scope) -> Pixels:
    """Independent pixels."""
    return _noise(seed, scope.task.shape)


def _cells(seed: bytes, scope: Scope) -> Pixels:
    """A grid of cells of one color each."""
    height, width, _ = scope.task.shape
    grid = _grid(seed, scope.task)
    rows = np.arange(height) * len(grid) // height
    columns = np.arange(width) * grid.shape[1] // width
    cells: Pixels = grid[rows[:, None], columns[None, :]]
    return cells


def _smooth(seed: bytes, scope: Scope) -> Pixels:
    """A coarse grid of values, interpolated linearly."""
    return _interpolated(_grid(seed, scope.task), scope.task)


def _mixed(seed: bytes, scope: Scope) -> Pixels:
    """The mean of a smooth image and independent pixels."""
    noise = _noise(seed + b"noise", scope.task.shape).astype(np.int64)
    return ((noise + _smooth(seed, scope)) // 2).astype(np.uint8)


def _uniform(seed: bytes, scope: Scope) -> NDArray[np.float32]:
    """Every feature uniform in its range."""
    steps = uniform_integers(seed, scope.task.shape[0], STEPS + 1)
    return _between(steps, scope)


def _beyond(seed: bytes, scope: Scope) -> NDArray[np.float32]:
    """Every feature uniform in a range twice as wide."""
    steps = uniform_integers(seed, scope.task.shape[0], 2 * STEPS + 1)
    return _between(steps - STEPS // 2, scope)


def _any_tokens(seed: bytes, scope: Scope) -> NDArray[np.int32]:
    """Independent tokens."""
    low, high = int(scope.low[0]), int(scope.high[0])
    return (low + uniform_integers(seed, scope.task.shape[0], high - low + 1)).astype(np.int32)


def _few_tokens(seed: bytes, scope: Scope) -> NDArray[np.int32]:
    """A few tokens, repeated."""
    low, high = int(scope.low[0]), int(scope.high[0])
    few = low + uniform_integers(seed + b"few", FEW_TOKENS, high - low + 1)
    return few[uniform_integers(seed, scope.task.shape[0], FEW_TOKENS)].astype(np.int32)


Family: TypeAlias = tuple[str, Callable[[bytes, Scope], NDArray[Any]]]
FAMILIES: dict[str, tuple[Family, ...]] = {
    "image": (("pixels", _pixels), ("cells", _cells), ("smooth", _smooth), ("mixed", _mixed)),
    "features": (("uniform", _uniform), ("beyond", _beyond)),
    "tokens": (("any", _any_tokens), ("few", _few_tokens)),
}


def _noise(seed: bytes, shape: tuple[int, ...]) -> Pixels:
    return np.frombuffer(shake(seed, int(np.prod(shape))), np.uint8).reshape(shape)


def _grid(seed: bytes, task: Task) -> Pixels:
    """Return a grid of 2 to 9 values per side, uint8 [g, g', channels]."""
    height, width, channels = task.shape
    side = 2 + shake(seed + b"side", 1)[0] % 8
    return _noise(seed, (min(side, height), min(side, width), channels))


def _interpolated(grid: Pixels, task: Task) -> Pixels:
    """Return a grid resized to the task's shape by bilinear interpolation in 256ths."""
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


def _between(steps: NDArray[np.int64], scope: Scope) -> NDArray[np.float32]:
    return (scope.low + (scope.high - scope.low) * (steps / STEPS)).astype(np.float32)


def _contrast(task: Task) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the mean of a task's pixels, and half their standard deviation over that of bytes.

    In whole pixel values, and in 256ths; what the claim states is clipped to the possible range.
    """
    low, high = Fraction(task.low), Fraction(task.high)
    pixels = 255 / (high - low)
    centers = [round((Fraction(mean) - low) * pixels) for mean in task.mean]
    spreads = [round(Fraction(std) * pixels * 256 / (2 * SPREAD_OF_BYTES)) for std in task.std]
    return (
        np.array([min(max(center, 0), 255) for center in centers]),
        np.array([min(max(spread, LEAST_SPREAD), MOST_SPREAD) for spread in spreads]),
    )


def _at_contrast(pixels: Pixels, center: NDArray[np.int64], spread: NDArray[np.int64]) -> Pixels:
    moved = center + (pixels.astype(np.int64) - 128) * spread // 256
    return np.clip(moved, 0, 255).astype(np.uint8)
