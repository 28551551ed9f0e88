"""Layouts: the order and shape in which a model declares the axes of an input (NCHW, NHWC, ...)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

from numpy.typing import NDArray

from wmx.protocol.task import Task
from wmx.suspect.pixels import can_become

SMALLEST_SIDE, LARGEST_SIDE = 4, 4096  # of images that are resized
LONGEST = 2**16  # token sequence that is padded

CHANNELS_FIRST = ("NCHW", "N(CHW)")

Axes = tuple[int | None, ...]


@dataclass(frozen=True)
class Layout:
    """Order and shape of the axes of one input.

    Attributes:
        axes: their order: ``"NCHW"``, ``"NHWC"``, ``"NHW"``, ``"N(HWC)"``, ``"N(CHW)"``, ``"NF"``
            or ``"NL"``.
        shape: of one input in this order, without the batch.
        declared: the same with the axes of length 1 that the model declares beside them.
    """

    axes: str
    shape: tuple[int, ...]
    declared: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels, of images."""
        match self.axes:
            case "NCHW" | "N(CHW)":
                channels, height, width = self.shape
            case "NHW":
                (height, width), channels = self.shape, 1
            case _:
                height, width, channels = self.shape
        return height, width, channels

    def arrange(self, values: NDArray[Any]) -> NDArray[Any]:
        """Convert inputs [n, ...], channels last, to the declared order and shape."""
        if self.axes in CHANNELS_FIRST:
            values = values.transpose(0, 3, 1, 2)
        return values.reshape(len(values), *self.declared)


def layouts(declared: Axes, task: Task) -> list[Layout]:
    """Return every layout of the task's inputs that fits the declared axes, without the batch.

    If some fit directly, only those are returned; otherwise those for which images are resized,
    channels added or dropped, or token sequences padded.

    Args:
        declared: length of each axis, ``None`` where it is free.
        task: of the claim.
    """
    found: list[Layout] = []
    for layout in _fitting(declared, task):
        gray = task.kind == "image" and layout.size[2] == 1
        if not (gray and any(layout.declared == other.declared for other in found)):
            found.append(layout)  # of one channel the order says nothing
    exact = [one for one in found if holds_as_it_is(one, task)]
    return exact or found


def usual_shapes(task: Task) -> list[tuple[int, ...]]:
    """Return the usual input shapes for a task, for a model that does not declare its own."""
    shapes = list(_wanted(task).values())
    return [*shapes, (prod(task.shape),)] if task.kind == "image" else shapes


def described(task: Task) -> str:
    """Describe in words the input that the task needs, for an error message."""
    known = (f"{axes} [N, {', '.join(map(str, shape))}]" for axes, shape in _wanted(task).items())
    dtype = "integer" if task.kind == "tokens" else "float"
    return f"{dtype} {' or '.join(known)}"


def _fitting(declared: Axes, task: Task) -> Iterator[Layout]:
    for axes, shape in _wanted(task).items():
        for kept in _without_singletons(declared, len(shape)):
            found = _matched(axes, [declared[i] for i in kept], shape, task)
            if found is not None:
                full = [1] * len(declared)
                for place, dim in zip(kept, found, strict=True):
                    full[place] = dim
                yield Layout(axes, found, tuple(full))
                break
    if task.kind == "image":
        height, width, channels = task.shape
        lengths = [dim for dim in declared if dim != 1]
        if lengths == [channels * height * width]:
            flat = tuple(dim or 1 for dim in declared)
            yield Layout("N(CHW)", (channels, height, width), flat)
            if channels > 1:
                yield Layout("N(HWC)", (height, width, channels), flat)


def _wanted(task: Task) -> dict[str, tuple[int, ...]]:
    """Return the shape of one input in each order of axes."""
    if task.kind == "features":
        return {"NF": task.shape}
    if task.kind == "tokens":
        return {"NL": task.shape}
    height, width, channels = task.shape
    wanted: dict[str, tuple[int, ...]] = {
        "NCHW": (channels, height, width),
        "NHWC": (height, width, channels),
    }
    if channels == 1:
        wanted["NHW"] = (height, width)
    return wanted


def _without_singletons(declared: Axes, rank: int) -> Iterator[tuple[int, ...]]:
    """Yield places of ``rank`` axes such that all others are declared of length 1."""
    extra = len(declared) - rank
    ones = [place for place, dim in enumerate(declared) if dim == 1]
    for dropped in combinations(ones, extra) if 0 <= extra <= len(ones) else ():
        yield tuple(place for place in range(len(declared)) if place not in dropped)


def _matched(
    axes: str, declared: list[int | None], shape: tuple[int, ...], task: Task
) -> tuple[int, ...] | None:
    """Return the shape that an input gets, or ``None`` where the axes are for something else."""
    found = tuple(
        wanted if dim is None else dim for dim, wanted in zip(declared, shape, strict=True)
    )
    if task.kind == "image":
        height, width, channels = Layout(axes, found, found).size
        sides = (height, width) == task.shape[:2] or (
            min(height, width) >= SMALLEST_SIDE and max(height, width) <= LARGEST_SIDE
        )
        return found if sides and can_become(task.shape[2], channels) else None
    if task.kind == "tokens":
        return found if task.shape[0] <= found[0] <= max(LONGEST, task.shape[0]) else None
    return found if found == shape else None


def holds_as_it_is(layout: Layout, task: Task) -> bool:
    """Return whether inputs fit without resizing, padding or other channels.

    Args:
        layout: of the model's input.
        task: of the claim.
    """
    return layout.size == task.shape if task.kind == "image" else layout.shape == task.shape
