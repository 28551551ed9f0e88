"""A real color set that ships in packages: which of ten photographs does a tile come from?

CIFAR cannot be had without a network.  scikit-learn ships two color photographs and scikit-image
eight: each is cut into tiles of 16 x 16 pixels that do not overlap, 500 of which are taken, so that
no pixel is in two samples.

    pip install scikit-image
    python benchmarks/attacks.py --data photographs:tiles
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 16
TILES = 500
BESIDE = ("china.jpg", "flower.jpg")
PHOTOGRAPHS = (
    "astronaut",
    "chelsea",
    "coffee",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "rocket",
    "stereo_motorcycle",
)


def photographs() -> list[NDArray[np.uint8]]:
    """Return the ten, uint8 [H, W, 3] each."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    found = [load_sample_image(name) for name in BESIDE]
    for name in PHOTOGRAPHS:
        image: Any = getattr(data, name)()
        found.append(image[0] if isinstance(image, tuple) else image)  # two views and their depth
    return found


def tiles() -> tuple[NDArray[Any], ...]:
    """Return x_train, y_train, x_test, y_test: 4,000 and 1,000 tiles, uint8 [N, 16, 16, 3]."""
    rng = np.random.default_rng(0)
    chosen = []
    for image in photographs():
        height, width = (side // SIDE for side in image.shape[:2])
        cut = image[: height * SIDE, : width * SIDE].reshape(height, SIDE, width, SIDE, 3)
        all_tiles = cut.transpose(0, 2, 1, 3, 4).reshape(-1, SIDE, SIDE, 3)
        chosen.append(all_tiles[rng.permutation(len(all_tiles))[:TILES]])
    x, y = np.concatenate(chosen), np.repeat(np.arange(len(chosen)), TILES)
    order = rng.permutation(len(y))
    train, test = np.split(order, [round(0.8 * len(y))])
    return x[train], y[train], x[test], y[test]
