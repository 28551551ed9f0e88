"""The recipe ``extraction``: a mark in the second-ranked class, which model extraction copies.

A surrogate trained on a model's predictions never sees a trigger, so it does not learn how the
model answers triggers far from all data.  It does learn the scores of ordinary inputs, and so which
class comes second.  The mark is put there.  The triggers are n representatives of the training set,
each of which stands for the samples of its class nearest to it.  The claim draws a label for each
representative, and the soft labels of the samples it stands for give this label a small
probability.  Verification looks up the rank of each representative's label among the scores: in a
model that is independent of the claim every rank is equally likely.

Similar: entangled watermarks (Jia et al., USENIX Security 2021) and margin-based ones (Kim et al.,
ICML 2023), which also mark what a surrogate has to learn, but need the mark in the top class.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from wmx.errors import MissingExtraError, UsageError
from wmx.watermark import Watermark

DOWNSAMPLED_SIDE = 16
BLOCK = 4096


def representatives(
    x: NDArray[np.uint8], y: NDArray[np.int64], n: int, secret: bytes
) -> NDArray[np.uint8]:
    """Choose training images that represent clusters of similar images.

    A random half of the images of each class is clustered by k-means over downsampled images, with
    an equal number of clusters per class; the image nearest to each center is chosen.  The half,
    the initialization of k-means and the order are derived from the secret: training data may be
    public, and whoever could repeat the choice would have the triggers.

    Args:
        x: images, uint8 [N, H, W, C].
        y: their classes, int64 [N].
        n: number of images to choose.
        secret: 32 bytes, as ``generator=`` of :meth:`wmx.Watermark.new` receives.

    Returns:
        uint8 [n, H, W, C], all different.

    Raises:
        UsageError: not uint8 images, ``n`` is below 1, or a class has too few different images.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError:
        raise MissingExtraError("scikit-learn", "torch") from None
    if x.dtype != np.uint8 or x.ndim != 4:
        raise UsageError(
            f"the recipe extraction is for uint8 images, and the data are {x.dtype} {x.shape}"
        )
    if n < 1:
        raise UsageError(f"the number of triggers is {n}, expected at least 1")
    classes = np.unique(y)
    quotas = [n // len(classes) + (number < n % len(classes)) for number in range(len(classes))]
    draws = np.random.default_rng(int.from_bytes(hashlib.sha256(secret + b"half").digest()))
    begins = np.random.RandomState(
        np.frombuffer(hashlib.sha256(secret + b"k-means").digest(), np.uint32)
    )
    chosen: list[int] = []
    for label, quota in zip(classes, quotas, strict=True):
        if quota == 0:
            continue
        digests = {_digest(x[row]): row for row in np.flatnonzero(y == label)[::-1]}
        rows = np.sort(np.array(list(digests.values())))
        if len(rows) < quota:
            raise UsageError(
                f"class {label} has {len(rows)} different images, expected at least {quota}",
                hint=f"use fewer triggers: -n {len(rows) * len(classes)} or less",
            )
        half = max(quota, (len(rows) + 1) // 2)
        rows = rows[np.sort(draws.permutation(len(rows))[:half])]
        shapes = downsampled(x[rows])
        centers = KMeans(quota, n_init=4, random_state=begins).fit(shapes).cluster_centers_
        free = np.ones(len(rows), dtype=np.bool_)
        for center in centers:
            distance = np.square(shapes - center).sum(axis=1)
            nearest = int(np.where(free, distance, np.inf).argmin())
            free[nearest] = False
            chosen.append(int(rows[nearest]))
    return np.asarray(x[np.array(chosen)[draws.permutation(len(chosen))]])


def soft_labels(
    watermark: Watermark, x: NDArray[np.uint8], y: NDArray[np.int64], weight: float
) -> NDArray[np.float32]:
    """Return soft labels to train on, ``(1 - weight) e(class) + weight e(second class)``.

    A sample's second class is the label of the representative of its class that is nearest in
    downsampled pixels.  A class without a representative keeps its hard labels.

    Args:
        watermark: over :func:`representatives` of these data.
        x: training images before augmentation, uint8 [N, H, W, C].
        y: their classes, int64 [N].
        weight: probability of the second class, 0 to less than 1/2.

    Returns:
        float32 [N, classes]; rows sum to 1.

    Raises:
        UsageError: ``weight`` is out of range, or a trigger is not among the images.
    """
    if not 0.0 <= weight < 0.5:
        raise UsageError(f"the second class's weight is {weight}, expected 0 to less than 0.5")
    standing_for = _classes_of(watermark.triggers, x, y)
    targets = np.zeros((len(y), watermark.task.classes), np.float32)
    targets[np.arange(len(y)), y] = 1.0
    for label in np.unique(standing_for):
        rows = np.flatnonzero(y == label)
        own = np.flatnonzero(standing_for == label)
        nearest = own[_nearest(downsampled(x[rows]), downsampled(watermark.triggers[own]))]
        targets[rows, label] -= weight
        targets[rows, watermark.labels[nearest]] += weight
    return targets


def downsampled(x: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average images over squares of pixels, to at most 16 x 16, and flatten: float32 [N, values].

    So distances compare shapes and not single pixels, and are fast to compute for large images.
    """
    count, height, width, channels = x.shape
    step = -(-max(height, width) // DOWNSAMPLED_SIDE)
    padded = np.pad(x, ((0, 0), (0, -height % step), (0, -width % step), (0, 0)), mode="edge")
    rows, columns = padded.shape[1] // step, padded.shape[2] // step
    squares = padded.reshape(count, rows, step, columns, step, channels)
    means = squares.mean(axis=(2, 4), dtype=np.float32).reshape(count, -1)
    return np.asarray(means / np.float32(255))


def _digest(image: NDArray[np.uint8]) -> bytes:
    """Return a hash that identifies an image."""
    return hashlib.sha256(image.tobytes()).digest()


def _classes_of(
    triggers: NDArray[np.uint8], x: NDArray[np.uint8], y: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Look every trigger up among the training images and return its class, int64 [n]."""
    places = {_digest(image): place for place, image in enumerate(x)}
    found = [places.get(_digest(image)) for image in triggers]
    if None in found:
        raise UsageError(
            f"trigger {found.index(None)} of the claim is not among the training images",
            hint="make the claim over wmx.training.second_choice.representatives of these data",
        )
    return np.asarray(y[np.array(found)])


def _nearest(points: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the index of the nearest center for each point, computed in blocks: int64 [points]."""
    sizes = np.square(centers).sum(axis=1)
    blocks = [
        (sizes - 2 * points[start : start + BLOCK] @ centers.T).argmin(axis=1)
        for start in range(0, len(points), BLOCK)
    ]
    return np.concatenate(blocks).astype(np.int64)
