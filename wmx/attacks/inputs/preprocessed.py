"""A suspect behind a preprocessing step.

It wraps the suspect instead of adding nodes to its ONNX graph: so a single function of images works
for every input layout, for suspects that are not files, and for JPEG, which ONNX has no operator
for.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Attack, Need, Outcome, Progress, Target
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.suspect.feeding import Feeding
from wmx.suspect.suspect import Suspect

Images: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class InputAttack(Attack):
    """An attack that changes images before the model sees them."""

    needs: ClassVar[Need] = "file"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Wrap the unchanged file in the preprocessing step."""
        if target.task.kind != "image":
            raise CannotRunError(f"this attack is for images, and the data are {target.task.kind}")

        def change(images: Images) -> Images:
            digest = hashlib.sha256(images.tobytes()).hexdigest()
            return self.changed(images, target.stream("input", digest))

        yield target.outcome(Preprocessed(target.opened(), change))

    @abstractmethod
    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Return the preprocessed images.

        Args:
            images: float32 [n, H, W, C], values 0 to 1.
            rng: source of randomness; depends on the seed and the images alone.
        """


class Preprocessed:
    """A suspect that preprocesses its images and passes them to another suspect.

    Attributes:
        reference, engine, overrides: of the inner suspect.
    """

    queries_left: int | None = None

    def __init__(self, inside: Suspect, change: Callable[[Images], Images]) -> None:
        self.reference, self.engine = inside.reference, inside.engine
        self.overrides = inside.overrides
        self._inside = inside
        self._change = change

    @property
    def unread_outputs(self) -> int:
        """Number of outputs of the inner suspect that were not read in full."""
        return self._inside.unread_outputs

    def leave_out(self, readings: Iterable[str]) -> None:
        """Count outputs of the inner suspect as unread; as :meth:`Suspect.leave_out`."""
        self._inside.leave_out(readings)

    def feedings(self, task: Task) -> list[Feeding]:
        """Return the feedings of the inner suspect."""
        return self._inside.feedings(task)

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Query the inner suspect with preprocessed inputs; as :meth:`Suspect.predictions`."""
        changed = np.clip(self._change(unit_images(inputs)), 0.0, 1.0) * np.float32(255)
        return self._inside.predictions(feeding, changed, task, scaling, rows)

    def views(self, *, anew: bool = False) -> dict[str, Callable[[], Suspect]]:
        """Return the views of the inner suspect, which are given preprocessed images too."""

        def opened(view: Callable[[], Suspect]) -> Suspect:
            return Preprocessed(view(), self._change)

        return {name: partial(opened, view) for name, view in self._inside.views(anew=anew).items()}

    def reopened(self) -> "Preprocessed":
        """Return a copy around a reopened inner suspect, as if never queried."""
        return Preprocessed(self._inside.reopened(), self._change)

    def close(self) -> None:
        """Close the inner suspect."""
        self._inside.close()


def unit_images(pixels: NDArray[Any]) -> Images:
    """Scale canonical images [n, H, W, C] from 0..255 to float32 in 0..1."""
    return pixels.astype(np.float32) / np.float32(255)
