"""Types that the ways of running a suspect share: its inputs and outputs, and its device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from wmx.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
DEVICES: tuple[Device, ...] = get_args(Device)
MAX_PORTS = 64  # inputs or outputs of a model
MAX_NAME = 256  # characters of the name of one
MAX_RANK = 16  # axes of one, or of a tensor


@dataclass(frozen=True)
class TensorSpec:
    """Name, type and shape.

    Attributes:
        name: as in the file, if it can be shown: see :func:`shown_names`.
        type: onnxruntime's spelling, e.g. ``"tensor(float)"``.
        shape: ``None`` where an axis is free.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.type} [{dims}]"


def shown_names(names: Sequence[str], role: str) -> list[str]:
    """Return the names of inputs or outputs, with a number for those that cannot be printed.

    So ``output 2`` stands for a second output whose name has no or endless characters, or such as
    would write over a terminal; of two that would be called the same, the second gets a stroke.

    Args:
        names: in the file's order.
        role: ``"input"`` or ``"output"``.
    """
    shown = [name if 0 < len(name) <= MAX_NAME and name.isprintable() else "" for name in names]
    for place, name in enumerate(shown):
        if not name:
            number = f"{role} {place + 1}"
            while number in shown:
                number += "'"
            shown[place] = number
    return shown


def require_device(device: str) -> None:
    """Check the name of a device.

    Raises:
        UsageError: it is none of :data:`DEVICES`.
    """
    if device not in DEVICES:
        raise UsageError(f"device is {device!r}, expected one of {', '.join(DEVICES)}")
