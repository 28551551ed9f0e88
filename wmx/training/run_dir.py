"""The files of a training run, and what each is called."""

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
        folder: where.
        names: of the files.  All but the release record, which a finished run may be given, are
            written in this order.
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

    @property
    def release(self) -> Path:
        """The release record of the model."""
        return self.folder / "model.release.json"

    def images(self) -> NDArray[np.uint8] | None:
        """Return the images in :attr:`triggers`; ``None`` where the run has none."""
        return load_images(self.triggers) if self.triggers.exists() else None
