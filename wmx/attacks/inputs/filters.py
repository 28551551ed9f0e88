"""Noise, blur, few levels, JPEG.  Threat: runs the model behind an API of their own; no data.

Sources: the input preprocessing attacks of Lukas et al., S&P 2022; few levels are the feature
squeezing of Xu, Evans, Qi, *Feature Squeezing*, NDSS 2018.
"""

import io
from dataclasses import dataclass

import numpy as np

from wmx._internal.images import pillow
from wmx.attacks.inputs.preprocessed import Images, InputAttack

THREAT = "runs the model behind an API of their own; no data, no training"
GRAY_OR_RGB = (1, 3)


@dataclass(frozen=True)
class InputNoise(InputAttack):
    """Add Gaussian noise to every pixel.

    Attributes:
        sigma: standard deviation; pixels are 0 to 1.
    """

    sigma: float = 0.1

    threat = THREAT
    source = "Lukas et al., S&P 2022"

    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Add the noise."""
        noise = rng.standard_normal(images.shape, dtype=np.float32)
        return images + np.float32(self.sigma) * noise


@dataclass(frozen=True)
class Blur(InputAttack):
    """Blur with a 3 x 3 mean filter; edge pixels are repeated outward."""

    threat = THREAT
    source = "Lukas et al., S&P 2022"

    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Average over 3 x 3 pixels."""
        height, width = images.shape[1:3]
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        moved = [
            padded[:, down : down + height, right : right + width]
            for down in range(3)
            for right in range(3)
        ]
        blurred: Images = np.mean(moved, axis=0, dtype=np.float32)
        return blurred


@dataclass(frozen=True)
class FewLevels(InputAttack):
    """Round pixels to a few values.

    Attributes:
        levels: number of values, evenly spaced from 0 to 1.
    """

    levels: int = 4

    threat = THREAT
    source = "Xu et al., NDSS 2018"

    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Round the pixels."""
        steps = np.float32(self.levels - 1)
        rounded: Images = np.rint(images * steps) / steps
        return rounded


@dataclass(frozen=True)
class Jpeg(InputAttack):
    """Compress to JPEG and decompress.

    Attributes:
        quality: 1 to 95, on Pillow's scale.
    """

    quality: int = 50

    threat = THREAT
    source = "Lukas et al., S&P 2022"

    def changed(self, images: Images, rng: np.random.Generator) -> Images:
        """Compress gray and RGB images whole, others channel by channel."""
        if images.shape[-1] in GRAY_OR_RGB:
            return np.stack([self._through_jpeg(image) for image in images])
        channels = [self.changed(images[..., i : i + 1], rng) for i in range(images.shape[-1])]
        return np.concatenate(channels, axis=-1)

    def _through_jpeg(self, image: Images) -> Images:
        module = pillow()
        pixels = np.rint(image * 255).astype(np.uint8)
        file = io.BytesIO()
        module.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
            file, "JPEG", quality=self.quality
        )
        with module.open(file) as opened:
            decoded = np.asarray(opened, dtype=np.float32) / np.float32(255)
        return decoded.reshape(image.shape)
