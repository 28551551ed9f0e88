"""Names and paths of the files of a training run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmx._internal.file_sets import FileSet
from wmx.triggers.trigger_file import load_images


@dataclass(frozen=True)
class RunFiles(FileSet):
    """The files of a run, all in one folder.

    Attributes:
        folder: their folder.
        names: of the files, in the order in which they are written; a release record is added
            only on request, after the run.
    """

    folder: Path
    names: tuple[str, ...] = (
        "claim.json",
        "triggers.safetensors",
        "checkpoint.safetensors",
        "weights.safetensors",
        "model.release.json",
        "model.onnx",
    )

    @property
    def claim(self) -> Path:
        """The signed claim, written before the first training step."""
        return self.folder / "claim.json"

    @property
    def triggers(self) -> Path:
        """The secret trigger images, where the owner supplied their own; else not written."""
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

    @property
    def release(self) -> Path:
        """The release record of the model."""
        return self.folder / "model.release.json"

    def images(self) -> NDArray[np.uint8] | None:
        """Return the images in :attr:`triggers`; ``None`` where the run has none."""
        return load_images(self.triggers) if self.triggers.exists() else None
