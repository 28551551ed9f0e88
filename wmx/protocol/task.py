"""A classification task: kind and shape of the input, number of classes, and normalization.

The claim holds the task, so that years later nobody has to remember how inputs were normalized.
Decimal numbers are kept as strings: they are signed, and a float has more than one spelling.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError

Kind = Literal["image", "features", "tokens"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RANK = {"image": 3, "features": 1, "tokens": 1}
MAX_ELEMENTS = 2**26
MAX_CLASSES = 2**24
DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?")


def decimal_string(value: str | float) -> str:
    """Write ``value`` as a plain decimal string such as ``"0.1307"``, without an exponent.

    Raises:
        ValueError: not a finite number, or longer than 20 digits on a side of the point.
    """
    text = value if isinstance(value, str) else f"{Decimal(repr(float(value))):f}"
    text = checked_decimal(text).removesuffix(".0")
    return "0" if text == "-0" else text


def checked_decimal(value: Any) -> str:
    """Return a decimal string of a signed file unchanged, after checking its form.

    Raises:
        TypeError: it is no string.
        ValueError: it is no plain decimal number.
    """
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a decimal string")
    if not DECIMAL.fullmatch(value):
        raise ValueError(f"{value!r} is not a plain decimal number")
    return value


def _axes(count: int) -> str:
    return f"{count} axis" if count == 1 else f"{count} axes"


@dataclass(frozen=True)
class Task:
    """A classification task.

    Attributes:
        kind: ``"image"`` (triggers are uint8 HWC), ``"features"`` (float32 [F]) or ``"tokens"``
            (int32 [L]).
        shape: of one canonical input, without the batch.
        classes: K, at least 2.
        low, high: the values to which pixels 0 and 255 are mapped before normalization (images).
        mean, std: one value, or one per channel (images) or feature; the model sees
            ``(value - mean) / std``.  Tokens are never normalized.

    >>> from wmx import Task
    >>> task = Task.of((28, 28, 1), classes=10, mean=0.1307, std=0.3081)
    >>> task.example_inputs(2, seed=0).shape
    (2, 28, 28, 1)
    """

    kind: Kind
    shape: tuple[int, ...]
    classes: int
    low: str = "0"
    high: str = "1"
    mean: tuple[str, ...] = ("0",)
    std: tuple[str, ...] = ("1",)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}, expected one of {', '.join(KINDS)}")
        if len(self.shape) != RANK[self.kind]:
            raise ValueError(
                f"shape {self.shape} has {_axes(len(self.shape))}, expected {RANK[self.kind]} "
                f"for kind {self.kind!r}"
                + (" (height, width, channels)" if self.kind == "image" else "")
            )
        if min(self.shape) < 1 or int(np.prod(self.shape, dtype=object)) > MAX_ELEMENTS:
            raise ValueError(f"shape {self.shape} is out of range: 1 to {MAX_ELEMENTS:,} elements")
        if self.kind == "image" and self.shape[2] > 4:
            raise ValueError(
                f"shape {self.shape} has {self.shape[2]} channels, expected 1 to 4: "
                "the order is height, width, channels"
            )
        if not 2 <= self.classes <= MAX_CLASSES:
            raise ValueError(f"classes is {self.classes}, expected 2 to {MAX_CLASSES:,}")
        for name in ("mean", "std"):
            count = len(getattr(self, name))
            if count not in (1, self.shape[-1]):
                expected = "1" if self.shape[-1] == 1 else f"1 or {self.shape[-1]}"
                raise ValueError(f"{name} has {count} values, expected {expected}")
        for text in (self.low, self.high, *self.mean, *self.std):
            checked_decimal(text)
        if any(float(value) <= 0 for value in self.std):
            raise ValueError(f"std is {self.std}, expected positive values")
        if float(self.low) >= float(self.high):
            raise ValueError(f"value range is {self.low} to {self.high}, expected low < high")

    @classmethod
    def of(
        cls,
        shape: Iterable[int],
        classes: int,
        *,
        kind: Kind = "image",
        value_range: tuple[float | str, float | str] = (0, 1),
        mean: float | str | Iterable[float | str] = 0,
        std: float | str | Iterable[float | str] = 1,
    ) -> Self:
        """Make a task from plain numbers.

        Args:
            shape: of one input without the batch: (height, width, channels), (features,) or
                (length,).
            classes: K, at least 2.
            kind: ``"image"``, ``"features"`` or ``"tokens"``.
            value_range: what pixels 0 and 255 become before normalization.
            mean, std: of the normalization ``(value - mean) / std``; one number, or one per
                channel or feature.

        Raises:
            UsageError: an argument is out of range, or no number.
        """
        if not isinstance(shape, Iterable):
            raise UsageError(f"shape is {shape!r}, expected a tuple such as ({shape!r},)")
        try:
            return cls(
                kind=kind,
                shape=tuple(int(dim) for dim in shape),
                classes=int(classes),
                low=decimal_string(value_range[0]),
                high=decimal_string(value_range[1]),
                mean=_decimals(mean),
                std=_decimals(std),
            )
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from None

    def scale_problem(self) -> str | None:
        """Return why mean and std seem to be of pixels 0 to 255 where the value range is not."""
        low, high = float(self.low), float(self.high)
        means, stds = ([float(text) for text in texts] for texts in (self.mean, self.std))
        fit = all(low <= mean <= high for mean in means) and max(stds) <= high - low
        if self.kind != "image" or fit:
            return None
        return (
            f"mean {', '.join(self.mean)} and std {', '.join(self.std)} do not fit pixels of "
            f"{self.low}..{self.high}, so the model would be fed triggers on another scale than it "
            "expects; if they are of pixels 0 to 255, make the claim again with the range 0 to 255 "
            "(--range 0,255, in Python value_range=(0, 255)), or divide both by 255"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object that the claim holds."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "classes": self.classes,
            "range": [self.low, self.high],
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Parse :meth:`to_json`'s object; every field is required, unknown ones are ignored.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, of the wrong type or out of range.
        """
        low, high = _array(document["range"])
        shape, classes = _array(document["shape"]), document["classes"]
        if not all(type(value) is int for value in [*shape, classes]):
            raise TypeError("shape and classes hold integers")
        return cls(
            kind=document["kind"],
            shape=tuple(shape),
            classes=classes,
            low=low,
            high=high,
            mean=tuple(_array(document["mean"])),
            std=tuple(_array(document["std"])),
        )

    def example_inputs(self, count: int, *, seed: int) -> NDArray[Any]:
        """Return random normalized inputs for trying out a model.

        Args:
            count: number of inputs.
            seed: of the random numbers.

        Returns:
            [count, *shape], float32, or int32 for tokens.
        """
        rng = np.random.default_rng(seed)
        if self.kind == "image":
            return self.model_input(rng.integers(0, 256, (count, *self.shape), dtype=np.uint8))
        if self.kind == "tokens":
            return rng.integers(0, 2, (count, *self.shape), dtype=np.int32)
        return rng.normal(size=(count, *self.shape)).astype(np.float32)

    def model_input(self, canonical: NDArray[Any], *, planes: bool = False) -> NDArray[Any]:
        """Return canonical inputs as the model sees them: range and normalization applied.

        Args:
            canonical: [n, *shape]; for images uint8 or any float array of pixel values 0 to 255.
            planes: store each channel contiguously, which is faster for models that take
                [n, C, H, W]; for uint8 only, and the numbers are the same.

        Returns:
            float32 [n, *shape], channels last; for tokens the int32 ids unchanged.
        """
        if self.kind == "tokens":
            return canonical
        if self.kind == "image" and canonical.dtype == np.uint8:
            levels = self.levels()
            n, height, width, channels = canonical.shape
            if planes:
                seen = np.empty((n, channels, height, width), np.float32).transpose(0, 2, 3, 1)
            else:
                seen = np.empty(canonical.shape, np.float32)
            for channel in range(channels):  # looking up a table is faster than the formula
                seen[..., channel] = levels[:, channel][canonical[..., channel]]
            return seen
        return self._seen(canonical)

    def levels(self) -> NDArray[np.float32]:
        """Return the normalized value of each pixel value and channel, float32 [256, C]."""
        return self._seen(np.arange(256)[:, None].repeat(self.shape[2], axis=1))

    def _seen(self, canonical: NDArray[Any]) -> NDArray[np.float32]:
        """Return range and normalization applied to values [..., C] or [n, *shape]."""
        values = canonical.astype(np.float64)
        if self.kind == "image":
            low, high = float(self.low), float(self.high)
            values = values / 255.0 * (high - low) + low
        mean = np.array(self.mean, dtype=np.float64)
        std = np.array(self.std, dtype=np.float64)
        return ((values - mean) / std).astype(np.float32)


def _decimals(value: float | str | Iterable[float | str]) -> tuple[str, ...]:
    if isinstance(value, str | int | float):
        return (decimal_string(value),)
    return tuple(decimal_string(item) for item in value)


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"found {type(value).__name__}, expected an array")
    return value
