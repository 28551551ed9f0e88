"""The files of a training run, and what each is called."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFiles:
    """The files of a run, all in one folder.

    Attributes:
        folder: where.
    """

    folder: Path

    @property
    def claim(self) -> Path:
        """The signed claim, there before the first training step."""
        return self.folder / "claim.json"

    @property
    def triggers(self) -> Path:
        """The secret images of a claim over the owner's own images; else not written."""
        return self.folder / "triggers.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The state after the last finished epoch."""
        return self.folder / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.folder / "weights.safetensors"

    @property
    def model(self) -> Path:
        """The exported model."""
        return self.folder / "model.onnx"

    def existing(self) -> list[Path]:
        """Return those that are there."""
        every = (self.claim, self.triggers, self.checkpoint, self.weights, self.model)
        return [path for path in every if path.exists()]

    def remove(self) -> None:
        """Remove them, and nothing else."""
        for path in self.existing():
            path.unlink()
