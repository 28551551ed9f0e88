"""How a suspect can be fed: by role and shape, never by name.

What is decided here hangs on the model and the task alone, never on the labels; so trying every
binding that fits costs nothing but its share of the mixture (docs/statistics.md).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.suspect.port import Port
from wmx.task import Task

FLOATS: dict[str, np.dtype[Any]] = {
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}
INTEGERS: dict[str, np.dtype[Any]] = {
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
}
MAX_CHUNK_ELEMENTS = 2**21  # elements of input given to a free-batch model at a time


@dataclass(frozen=True)
class Feeding:
    """One way to hand inputs to a model.

    Attributes:
        layout: order of the axes, e.g. ``"NCHW"``.
        input: name of the model's input.
        dtype: of the array it takes.
        batch: fixed batch size, or ``None`` if it is free.
    """

    layout: str
    input: str
    dtype: np.dtype[Any]
    batch: int | None

    def arrange(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Bring inputs [n, *task.shape], channels last, into this layout and dtype."""
        match self.layout:
            case "NCHW":
                inputs = inputs.transpose(0, 3, 1, 2)
            case "NHW":
                inputs = inputs[..., 0]
        return np.ascontiguousarray(inputs, dtype=self.dtype)

    def chunk_rows(self, task: Task) -> int:
        """Return how many inputs go into one call."""
        elements = int(np.prod(task.shape))
        return self.batch or max(1, MAX_CHUNK_ELEMENTS // elements)


def feedings(port: Port, task: Task) -> list[Feeding]:
    """Return every way to feed inputs of ``task`` to the input ``port``; empty if none fits."""
    dtypes = INTEGERS if task.kind == "tokens" else FLOATS
    if port.type not in dtypes or not port.shape:
        return []
    batch, *axes = port.shape
    return [
        Feeding(layout, port.name, dtypes[port.type], batch)
        for layout, shape in _layouts(task).items()
        if len(axes) == len(shape)
        and all(found in (None, wanted) for found, wanted in zip(axes, shape, strict=True))
    ]


def expected_shapes(task: Task) -> str:
    """Describe, for an error, what input the task asks for."""
    layouts = (
        f"{layout} [N, {', '.join(map(str, shape))}]" for layout, shape in _layouts(task).items()
    )
    dtype = "integer" if task.kind == "tokens" else "float"
    return f"{dtype} {' or '.join(layouts)}"


def _layouts(task: Task) -> dict[str, tuple[int, ...]]:
    if task.kind == "features":
        return {"NF": task.shape}
    if task.kind == "tokens":
        return {"NL": task.shape}
    height, width, channels = task.shape
    layouts: dict[str, tuple[int, ...]] = {
        "NCHW": (channels, height, width),
        "NHWC": (height, width, channels),
    }
    if channels == 1:
        layouts["NHW"] = (height, width)
    return layouts
