"""The owner's own images as triggers, read from a folder; the paper used 100 abstract images.

Decoding a JPEG and resizing it may differ from one library version to the next, and one changed
pixel breaks the commitment.  So the files are converted once, and afterwards only the arrays are
kept and used (:mod:`wmx.triggers.trigger_file`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wmx._internal.images import picture_paths, pillow, read_picture
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Folder:
    """The trigger family ``folder``.

    Attributes:
        images: uint8 [n, H, W, C], all different.
    """

    images: NDArray[np.uint8] = field(repr=False)

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images are {self.images.dtype} {self.images.shape}, expected uint8 [n, H, W, C]"
            )
        if len({image.tobytes() for image in self.images}) < len(self.images):
            raise ValueError("two of the images are the same, expected distinct ones")

    @classmethod
    def from_description(cls, images: NDArray[np.uint8] | None) -> Self:
        """Rebuild the family from the kept arrays, uint8 [n, H, W, C], which no claim holds.

        Raises:
            UsageError: ``images`` is ``None``.
            ValueError: they have another dtype or shape, or two are equal.
        """
        if images is None:
            raise UsageError(
                "this claim is over the owner's own images, and they were not given",
                hint="name the file that was written with the claim: --triggers FILE.safetensors",
            )
        return cls(images)

    def check(self, task: Task, n: int) -> None:
        """Refuse another kind, shape or number; as :meth:`wmx.triggers.Generator.check`."""
        if task.kind != "image" or self.images.shape[1:] != task.shape:
            raise ValueError(
                f"images of shape {self.images.shape[1:]}, and the task is {task.kind!r} "
                f"of shape {task.shape}"
            )
        if len(self.images) != n:
            raise ValueError(f"{len(self.images)} images for {n} triggers")

    def describe(self) -> dict[str, Any]:
        """Return ``{"name": "folder"}``: the images are secret."""
        return {"name": "folder"}

    def draw(self, seeds: Sequence[bytes], task: Task) -> NDArray[np.uint8]:
        """Return the images, uint8 [n, H, W, C]; as :meth:`wmx.triggers.Generator.draw`."""
        return self.images


def read_folder(folder: str | Path, shape: tuple[int, ...], n: int | None = None) -> Folder:
    """Convert the image files of a folder, in the order of their names, to a shape.

    Args:
        folder: holds png, jpeg, bmp, gif, tiff or webp files.
        shape: (height, width, channels) of the task.
        n: number of files to take, the first ones; all if ``None``.

    Raises:
        CannotRunError: no such folder, too few images, or one that cannot be read.
        MissingExtraError: Pillow is not installed.
    """
    image_module = pillow()
    folder = Path(folder)
    if not folder.is_dir():
        raise CannotRunError(f"no such folder: {folder}")
    paths = picture_paths(folder)
    if not paths or (n is not None and len(paths) < n):
        raise CannotRunError(
            f"{folder} holds {len(paths)} pictures, expected {n or 'at least one'}"
        )
    height, width, channels = shape

    def fitted(picture: Any) -> Any:
        return picture.convert(MODES[channels]).resize(
            (width, height), image_module.Resampling.LANCZOS
        )

    images = [
        np.asarray(read_picture(path, "picture", fitted), dtype=np.uint8).reshape(shape)
        for path in paths[:n]
    ]
    return Folder(np.stack(images))
