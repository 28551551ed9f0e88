"""Where a model may run."""

from typing import Literal, get_args

from wmx.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
DEVICES: tuple[Device, ...] = get_args(Device)


def require_device(device: str) -> None:
    """Raise :class:`UsageError` unless there is such a device."""
    if device not in DEVICES:
        raise UsageError(f"device is {device!r}, expected one of {', '.join(DEVICES)}")
