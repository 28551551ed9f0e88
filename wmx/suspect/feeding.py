"""One way to give inputs to a model: their arrangement, and what its other inputs hold meanwhile.

:mod:`wmx.suspect.inputs` finds the ways that a model has.
"""

import json
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import consult
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.suspect.layouts import CHANNELS_FIRST, Layout
from wmx.suspect.pixels import OPAQUE, RESAMPLINGS, bands, with_channels
from wmx.suspect.scaling import OF_PIXELS, RAW
from wmx.suspect.types import TensorSpec

FLOATS: dict[str, np.dtype[Any]] = {
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(bfloat16)": np.dtype(np.float32),  # rounded on the runtime's side
}
INTEGERS: dict[str, np.dtype[Any]] = {
    "tensor(int16)": np.dtype(np.int16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(uint16)": np.dtype(np.uint16),
    "tensor(uint32)": np.dtype(np.uint32),
    "tensor(uint64)": np.dtype(np.uint64),
}
BYTES: dict[str, np.dtype[Any]] = {
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
}
TRUTHS: dict[str, np.dtype[Any]] = {"tensor(bool)": np.dtype(np.bool_)}
MAX_CALL_BYTES = 2**28  # of all inputs of a model in one call
SMALLEST_FLOAT = 4  # bytes: pixels and features are normalized before they are given as bytes
MAX_CHUNK_ELEMENTS = 2**21  # elements of input given to a free-batch model at a time
WHITE = 128  # the lowest pixel that counts as true for boolean inputs


@dataclass(frozen=True)
class Feeding:
    """One way to give inputs to a model.

    Attributes:
        input: name of the model's input.
        layout: order and shape of its axes.
        dtype: of the array it takes.
        batch: fixed batch size, or ``None`` if it is free.
        resampling: how images are resized, ``None`` where they are not.
        scalings: names of the possible scalings of pixels or features, the natural one first.
        others: the model's other inputs, each with its content.
        columns: names of the inputs that take one feature each, instead of ``input``.
        alone: whether the model's inputs have no axis for a batch, and take one image or row.
    """

    input: str
    layout: Layout
    dtype: np.dtype[Any]
    batch: int | None
    resampling: str | None = None
    scalings: tuple[str, ...] = ("",)
    others: tuple["Filling", ...] = ()
    columns: tuple[str, ...] = ()
    alone: bool = False

    @property
    def name(self) -> str:
        """Its name in reports and evidence; no two feedings of a model have the same."""
        words = [self.layout.axes.removeprefix("N") if self.alone else self.layout.axes]
        if self.resampling is not None:
            height, width, _ = self.layout.size
            words.append(f"{height}x{width} {self.resampling}")
        if self.others:
            words += [
                f"{_quoted(self.input)}=inputs",
                *(f"{_quoted(one.port.name)}={one.what}" for one in self.others),
            ]
        return " ".join(words)

    def fed(
        self, canonical: NDArray[Any], task: Task, scaling: str | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the arrays to give to the model, by the names of its inputs.

        Args:
            canonical: [n, *task.shape]: pixels 0 to 255, integers or floats; features; token ids.
            task: of the claim.
            scaling: one of :attr:`scalings`; the first if ``None``.
        """
        given = self._batch_fed(canonical, task, scaling)
        if not self.alone:
            return given
        return {name: array[0] if array.ndim else array for name, array in given.items()}

    def _batch_fed(
        self, canonical: NDArray[Any], task: Task, scaling: str | None
    ) -> dict[str, NDArray[Any]]:
        """Return the arrays of :meth:`fed`, with an axis for the batch."""
        values = self._values(canonical, task, self.scalings[0] if scaling is None else scaling)
        if self.columns:
            return {
                name: np.ascontiguousarray(values[:, i : i + 1], dtype=self.dtype)
                for i, name in enumerate(self.columns)
            }
        arranged = self.arranged(values)
        return {self.input: arranged} | {
            one.port.name: one.array(len(arranged), self.layout, task) for one in self.others
        }

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """Convert normalized inputs [n, ...], channels last, to the model's layout and dtype."""
        return np.ascontiguousarray(self.layout.arrange(values), dtype=self.dtype)

    def is_plain(self, task: Task) -> bool:
        """Return whether the model takes one input of the claim's shape, in any order of axes."""
        size = self.layout.size if task.kind == "image" else self.layout.shape
        others = self.others or self.columns or self.alone
        return not others and size == task.shape and self.layout.declared == self.layout.shape

    def chunk_rows(self, task: Task) -> int:
        """Return how many inputs of ``task`` to give in one call."""
        elements = max(prod(self.layout.shape), prod(task.shape))
        return self.batch or max(1, MAX_CHUNK_ELEMENTS // elements)

    def require_bounded(self, rows: int, task: Task, name: str) -> None:
        """Refuse inputs that would fill the memory of this process, before they are made.

        Args:
            rows: number of inputs in one call.
            task: of the claim.
            name: of the model, for error messages.

        Raises:
            CannotRunError: the model's inputs are too large together.
        """
        elements = max(prod(self.layout.declared), prod(task.shape))
        size = rows * elements * max(self.dtype.itemsize, SMALLEST_FLOAT)
        size += sum(one.size(rows, self.layout) for one in self.others)
        if size > MAX_CALL_BYTES:
            raise CannotRunError(
                f"{name} takes {rows:,} inputs at a time, which are {size:,} bytes as {self.name}; "
                f"expected at most {MAX_CALL_BYTES:,}",
                hint="export it with a free batch size, or a smaller one",
            )

    def _values(self, canonical: NDArray[Any], task: Task, scaling: str) -> NDArray[Any]:
        """Return normalized or scaled inputs, channels last."""
        if task.kind == "tokens":
            missing = self.layout.shape[0] - canonical.shape[1]
            return np.pad(canonical, ((0, 0), (0, missing)))
        own = scaling not in OF_PIXELS and scaling != RAW
        planes = self.layout.axes in CHANNELS_FIRST
        values = task.model_input(canonical, planes=planes) if own else canonical
        if task.kind == "features":
            if self.dtype.kind == "f":
                return values
            limits = np.iinfo(self.dtype)
            whole: NDArray[Any] = np.clip(np.rint(values), limits.min, limits.max)
            return whole
        if self.resampling is not None:
            return self._resized(values, None if own else scaling)
        values = with_channels(values, self.layout.size[2], 1.0 if own else OPAQUE)
        return values if own else self._scaled(values.astype(np.float64), scaling)

    def _resized(self, values: NDArray[Any], scaling: str | None) -> NDArray[Any]:
        """Return images of the model's size, a band at a time: a few small ones can become large.

        Args:
            values: [n, H, W, C].
            scaling: that is left to do, ``None`` if none is.
        """
        height, width, channels = self.layout.size
        resize = RESAMPLINGS[self.resampling or ""]
        if self.layout.axes in CHANNELS_FIRST:
            planes = np.empty((len(values), channels, height, width), self.dtype)
            seen = planes.transpose(0, 2, 3, 1)
        else:
            seen = np.empty((len(values), height, width, channels), self.dtype)
        for number in range(len(values)):
            image = values[number : number + 1].astype(np.float64)
            for band in bands(image.shape[1:], height, width):
                consult()
                part = resize(image, height, width, band)
                part = with_channels(part, channels, 1.0 if scaling is None else OPAQUE)
                seen[number, band] = part if scaling is None else self._scaled(part, scaling)
        return seen

    def _scaled(self, values: NDArray[np.float64], scaling: str) -> NDArray[Any]:
        scaled = OF_PIXELS[scaling](values)
        if self.dtype.kind == "b":
            return scaled >= WHITE
        return np.rint(scaled) if self.dtype.kind in "iu" else scaled


@dataclass(frozen=True)
class Filling:
    """The content of an input that takes no trigger.

    Attributes:
        port: the input.
        what: ``"mask"`` (1 at every token and 0 at the padding), ``"length"``, or a number.
    """

    port: TensorSpec
    what: str

    def array(self, rows: int, layout: Layout, task: Task) -> NDArray[Any]:
        """Return the content of this input for a call.

        Args:
            rows: number of inputs in the call.
            layout: of the input that takes triggers.
            task: of the claim.
        """
        dtype = self._dtype
        if self.what == "mask":
            kept = np.arange(layout.shape[0]) < task.shape[0]
            return np.tile(kept, (rows, 1)).astype(dtype).reshape(rows, *layout.declared)
        number = task.shape[0] if self.what == "length" else float(self.what)
        return np.full(self._shape(rows, layout), number).astype(dtype)

    def size(self, rows: int, layout: Layout) -> int:
        """Return the bytes that the content takes, at most.

        Args:
            rows: number of inputs in the call.
            layout: of the input that takes triggers.
        """
        elements = max(prod(self._shape(rows, layout)), rows * prod(layout.declared))
        return elements * self._dtype.itemsize

    @property
    def _dtype(self) -> np.dtype[Any]:
        return {**FLOATS, **INTEGERS, **BYTES, **TRUTHS}[self.port.type]

    def _shape(self, rows: int, layout: Layout) -> list[int]:
        return [
            (rows if place == 0 else layout.shape[0]) if dim is None else dim
            for place, dim in enumerate(self.port.shape)
        ]


def filled_up(inputs: NDArray[Any], rows: int) -> NDArray[Any]:
    """Pad inputs by repeating the last one.

    Args:
        inputs: [n, ...], n at least 1.
        rows: length to pad to.
    """
    if len(inputs) >= rows:
        return inputs
    return np.concatenate([inputs, np.repeat(inputs[-1:], rows - len(inputs), axis=0)])


def _quoted(name: str) -> str:
    """Return a stranger's name such that it cannot be taken for several words."""
    return json.dumps(name, ensure_ascii=False) if set(name) & set(' ="') else name
