"""Types shared by all suspects: the declared inputs and outputs of a model, and its device."""

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
    """An input or output as the model file declares it: name, type and shape.

    Attributes:
        name: as in the file, if it is printable: see :func:`shown_names`.
        type: onnxruntime's spelling, e.g. ``"tensor(float)"``.
        shape: length of each axis, ``None`` where it is free.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.type} [{dims}]"


def shown_names(names: Sequence[str], role: str) -> list[str]:
    """Return printable names of inputs or outputs, with a number in place of unprintable ones.

    So ``output 2`` stands for a second output whose name is empty, too long, or has control
    characters; of two equal names, the second gets a prime (``'``).

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
