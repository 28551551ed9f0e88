"""Shifting and mirroring images.  Threat: runs the model behind an API of their own; no data.

Source: the input preprocessing attacks of Lukas et al., S&P 2022.  A shift of two pixels hides a
mark until it is undone, so ``wmx verify`` tries shifts.
"""

from dataclasses import dataclass

import numpy as np

from wmx.attacks.inputs.preprocessed import Images, InputAttack
from wmx.statistics.probe import shifted

THREAT = "runs the model behind an API of their own; no data, no training"


@dataclass(frozen=True)
class Shift(InputAttack):
    """Shift the image; uncovered pixels are black.

    Attributes:
        down, right: in pixels, negative for up and left.
    """

    down: int = 2
    right: int = 2

    threat = THREAT
    source = "Lukas et al., S&P 2022"

    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Shift the images."""
        pixels = np.rint(images * 255).astype(np.uint8)
        return shifted(pixels, self.down, self.right).astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class Flip(InputAttack):
    """Mirror the image left to right."""

    threat = THREAT
    source = "Lukas et al., S&P 2022"

    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Mirror the images."""
        return np.ascontiguousarray(images[:, :, ::-1])
