"""Images of another size or with other channels than the claim's."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[Any]
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
GREY, COLOUR, WITH_ALPHA = 1, 3, 4


def can_become(channels: int, wanted: int) -> bool:
    """Say whether images of so many channels can be shown to a model that takes ``wanted``."""
    return channels == wanted or (channels, wanted) in {
        (GREY, COLOUR),
        (COLOUR, GREY),
        (WITH_ALPHA, COLOUR),
    }


def with_channels(images: Images, wanted: int) -> Images:
    """Repeat a grey channel, weigh colours by their luminance, or drop the alpha channel.

    Args:
        images: floats [n, H, W, C].
        wanted: number of channels, one that C :func:`can_become`.
    """
    channels = images.shape[-1]
    if channels == wanted:
        return images
    if channels == GREY:
        return np.repeat(images, wanted, axis=-1)
    if wanted == GREY:
        grey: Images = images @ LUMA[:, None]
        return grey
    return images[..., :wanted]


def nearest(images: Images, height: int, width: int) -> Images:
    """Resize floats [n, H, W, C]: each new pixel is the old one at its centre."""
    rows = _centres(images.shape[1], height).round().astype(int)
    columns = _centres(images.shape[2], width).round().astype(int)
    return images[:, rows][:, :, columns]


def bilinear(images: Images, height: int, width: int) -> Images:
    """Resize floats [n, H, W, C] by weighing the pixels round the centre of each new one.

    Where the image shrinks, the weights reach over all old pixels that a new one covers, as Pillow,
    torchvision and TensorFlow with antialiasing do.
    """
    down = _weights(images.shape[1], height)
    right = _weights(images.shape[2], width)
    resized: Images = np.einsum("hi,nijc,wj->nhwc", down, images, right, optimize=True)
    return resized


RESAMPLINGS: dict[str, Callable[[Images, int, int], Images]] = {
    "bilinear": bilinear,
    "nearest": nearest,
}


def _centres(old: int, new: int) -> NDArray[np.float64]:
    """Return where the centres of ``new`` pixels lie among ``old`` ones, within the image."""
    return np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)


def _weights(old: int, new: int) -> NDArray[np.float64]:
    """Return how much of each old pixel is in each new one: triangles, [new, old]."""
    reach = max(old / new, 1.0)
    middles = (np.arange(new) + 0.5) * old / new - 0.5
    distances = np.abs(middles[:, None] - np.arange(old)[None]) / reach
    weights = np.maximum(1.0 - distances, 0.0)
    found: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return found
