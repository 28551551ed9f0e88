"""Resizing images and converting their channels, for models that take other images than a claim."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import consult

Images = NDArray[Any]
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
GRAY, COLOR, WITH_ALPHA = 1, 3, 4
OPAQUE = 255.0  # in an alpha channel of pixels
ALL = slice(None)
BAND_ELEMENTS = 2**20  # of a band of an image that is resized


def can_become(channels: int, wanted: int) -> bool:
    """Return whether images can be converted to another number of channels.

    Args:
        channels: of the images.
        wanted: number of channels that the model takes.
    """
    return channels == wanted or (channels, wanted) in {
        (GRAY, COLOR),
        (COLOR, GRAY),
        (WITH_ALPHA, COLOR),
        (COLOR, WITH_ALPHA),
    }


def with_channels(images: Images, wanted: int, opaque: float = OPAQUE) -> Images:
    """Convert channels: repeat gray, take the luminance of colors, drop or add an alpha channel.

    Args:
        images: floats [n, H, W, C].
        wanted: number of channels, one that C :func:`can_become`.
        opaque: value of an added alpha channel.
    """
    channels = images.shape[-1]
    if channels == wanted:
        return images
    if channels == GRAY:
        return np.repeat(images, wanted, axis=-1)
    if wanted == GRAY:
        gray: Images = images @ LUMA[:, None]
        return gray
    if wanted == WITH_ALPHA:
        alpha = np.full_like(images[..., :1], opaque)
        return np.concatenate([images, alpha], axis=-1)
    return images[..., :wanted]


def nearest(images: Images, height: int, width: int, band: slice = ALL) -> Images:
    """Resize floats [n, H, W, C]: each new pixel is the old one at its center.

    Args:
        images: the old ones.
        height, width: of the new ones.
        band: which of their rows to return.
    """
    rows = _centers(images.shape[1], height)[band].round().astype(int)
    columns = _centers(images.shape[2], width).round().astype(int)
    return images[:, rows][:, :, columns]


def bilinear(images: Images, height: int, width: int, band: slice = ALL) -> Images:
    """Resize floats [n, H, W, C] by averaging the pixels around the center of each new one.

    Where the image shrinks, the weights reach over all old pixels that a new one covers, as Pillow,
    torchvision and TensorFlow with antialiasing do.  Arguments as of :func:`nearest`.
    """
    rows = _weighted(images, *_neighbors(images.shape[1], height, band))
    turned = rows.transpose(0, 2, 1, 3)
    return _weighted(turned, *_neighbors(images.shape[2], width)).transpose(0, 2, 1, 3)


RESAMPLINGS: dict[str, Callable[[Images, int, int, slice], Images]] = {
    "bilinear": bilinear,
    "nearest": nearest,
}


def bands(old: tuple[int, ...], height: int, width: int) -> Iterator[slice]:
    """Yield which rows of a new image to make at a time, so that not much is in memory at once.

    Args:
        old: [H, W, C] of the image that is resized.
        height, width: of the new one.
    """
    step = max(1, BAND_ELEMENTS // (max(old[1], width) * old[2]))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def _centers(old: int, new: int) -> NDArray[np.float64]:
    """Return where the centers of ``new`` pixels lie among ``old`` ones, within the image."""
    return np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)


def _neighbors(
    old: int, new: int, band: slice = ALL
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which old pixels are in each new one of a band, and how much of them: triangles.

    Both are [new, t], where t old pixels may reach into a new one.
    """
    reach = max(old / new, 1.0)
    middles = ((np.arange(new) + 0.5) * old / new - 0.5)[band]
    first = np.floor(middles - reach).astype(np.int64) + 1
    places = first[:, None] + np.arange(int(np.ceil(2 * reach)))
    weights = np.maximum(1.0 - np.abs(middles[:, None] - places) / reach, 0.0)
    weights[(places < 0) | (places >= old)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(places, 0, old - 1), weights


def _weighted(
    images: Images, places: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return weighted sums of the rows of images; a matrix product would take all cores."""
    found = np.zeros((len(images), len(places), *images.shape[2:]))
    for place, weight in zip(places.T, weights.T, strict=True):
        consult()
        found += images[:, place] * weight[:, None, None]
    return found
