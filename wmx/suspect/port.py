"""An input or output of a model as its file declares it."""

from dataclasses import dataclass

MAX_PORTS = 64  # inputs or outputs of a model
MAX_NAME = 256  # characters of the name of one
MAX_RANK = 16  # axes of one, or of a tensor


@dataclass(frozen=True)
class Port:
    """Name, type and shape.

    Attributes:
        name: as in the file.
        type: onnxruntime's spelling, e.g. ``"tensor(float)"``.
        shape: ``None`` where an axis is free.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.type} [{dims}]"
