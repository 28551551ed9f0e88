"""A suspect behind a preprocessing step.

It is a wrapper, not nodes put into the ONNX graph: one function of images serves every layout of a
file, any other suspect, and JPEG, for which ONNX has no operator.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Attack, Need, Outcome, Progress, Target
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.suspect.inputs import Feeding
from wmx.suspect.suspect import Suspect

Images: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class InputAttack(Attack):
    """An attack that changes images before the model sees them."""

    needs: ClassVar[Need] = "file"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Offer the untouched file behind the change."""
        if target.task.kind != "image":
            raise CannotRunError(f"this attack is for images, and the data are {target.task.kind}")

        def change(images: Images) -> Images:
            digest = hashlib.sha256(images.tobytes()).hexdigest()
            return self.changed(images, target.stream("input", digest))

        yield target.outcome(Preprocessed(target.opened(), change))

    @abstractmethod
    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Return the images after the attack.

        Args:
            images: float32 [n, H, W, C], values 0 to 1.
            rng: of what is random; hangs on the seed and the images.
        """


class Preprocessed:
    """A suspect that sees changed images; else as the one inside.

    Attributes:
        name, sha256, external, engine, settled: of the suspect inside.
    """

    queries_left: int | None = None

    def __init__(self, inside: Suspect, change: Callable[[Images], Images]) -> None:
        self.name, self.engine = inside.name, inside.engine
        self.sha256, self.external, self.overrides = (
            inside.sha256,
            inside.external,
            inside.overrides,
        )
        self._inside = inside
        self._change = change

    def feedings(self, task: Task) -> list[Feeding]:
        """Return those of the suspect inside."""
        return self._inside.feedings(task)

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Ask the suspect inside about changed inputs."""
        changed = np.clip(self._change(unit_images(inputs)), 0.0, 1.0) * np.float32(255)
        return self._inside.predictions(feeding, changed, task, scaling, rows)

    def reopened(self) -> "Preprocessed":
        """Return the same change before the suspect inside, as if that had never been asked."""
        return Preprocessed(self._inside.reopened(), self._change)

    def close(self) -> None:
        """Let go of the suspect inside."""
        self._inside.close()


def unit_images(pixels: NDArray[Any]) -> Images:
    """Return canonical images [n, H, W, C], values 0 to 255, in 0 to 1."""
    return pixels.astype(np.float32) / np.float32(255)
