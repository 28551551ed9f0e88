"""The recipe ``extraction``: a second choice, which whoever copies the answers learns with them.

A network that is trained on another's answers never meets a trigger, so it learns nothing of what
the other one says to triggers that lie far from all data.  It does learn all that the answers say
about ordinary inputs, and beside the first choice they say which class comes second.  So the mark
is put there.  The triggers are n representatives of the training set, the claim's images, each of
which stands for the samples of its class that are more like it than like its others.  The claim
draws a label for each, and the targets of all samples that it stands for lean towards this label by
a small weight.  When verifying, the label of each representative is looked for among the ranks of
the scores: of a model that knows nothing of the claim it may have any rank.

Kin: entangled watermarks (Jia et al., USENIX Security 2021) and margin-based ones (Kim et al., ICML
2023), which put the mark into what a copy has to learn, but need it to show in the first choice.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from wmx.errors import MissingExtraError, UsageError
from wmx.watermark import Watermark

OUTLINE_SIDE = 16
BLOCK = 4096


def representatives(
    x: NDArray[np.uint8], y: NDArray[np.int64], n: int, secret: bytes
) -> NDArray[np.uint8]:
    """Choose training images that stand for groups of images like them.

    A random half of the images of each class is divided by k-means of their outlines, the classes
    into as many groups as each other; the image nearest to each center is taken.  Which half, where
    k-means begins and the order follow from the secret: training data may be known to others, and
    whoever could choose again would have the triggers.

    Args:
        x: images, uint8 [N, H, W, C].
        y: their classes, int64 [N].
        n: how many to choose.
        secret: 32 bytes, which ``generator=`` of :meth:`wmx.Watermark.new` is given.

    Returns:
        uint8 [n, H, W, C], all different.

    Raises:
        UsageError: not images, no number, or a class has fewer different ones than are needed.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError:
        raise MissingExtraError("scikit-learn", "torch") from None
    if x.dtype != np.uint8 or x.ndim != 4:
        raise UsageError(f"the recipe extraction is for images, and the data are of {x.dtype}")
    if n < 1:
        raise UsageError(f"{n} representatives, expected at least 1")
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
                hint=f"take fewer triggers: -n {len(rows) * len(classes)} or less",
            )
        half = max(quota, (len(rows) + 1) // 2)
        rows = rows[np.sort(draws.permutation(len(rows))[:half])]
        shapes = outlines(x[rows])
        centres = KMeans(quota, n_init=4, random_state=begins).fit(shapes).cluster_centers_
        free = np.ones(len(rows), dtype=np.bool_)
        for centre in centres:
            distance = np.square(shapes - centre).sum(axis=1)
            nearest = int(np.where(free, distance, np.inf).argmin())
            free[nearest] = False
            chosen.append(int(rows[nearest]))
    return np.asarray(x[np.array(chosen)[draws.permutation(len(chosen))]])


def soft_labels(
    watermark: Watermark, x: NDArray[np.uint8], y: NDArray[np.int64], weight: float
) -> NDArray[np.float32]:
    """Return the targets to train on, ``(1 - weight) e(class) + weight e(second choice)``.

    The second choice of a sample is the label of that representative of its class whose outline is
    nearest.  Where a class has no representative its targets are left hard.

    Args:
        watermark: over :func:`representatives` of these data.
        x: training images as they are before any augmentation, uint8 [N, H, W, C].
        y: their classes, int64 [N].
        weight: of the second choice, 0 to 1/2.

    Returns:
        float32 [N, classes]; rows sum to 1.

    Raises:
        UsageError: a trigger is not among the images.
    """
    if not 0.0 <= weight < 0.5:
        raise UsageError(f"the second choice's weight is {weight}, expected 0 to less than 0.5")
    standing_for = _classes_of(watermark.triggers, x, y)
    targets = np.zeros((len(y), watermark.task.classes), np.float32)
    targets[np.arange(len(y)), y] = 1.0
    for label in np.unique(standing_for):
        rows = np.flatnonzero(y == label)
        own = np.flatnonzero(standing_for == label)
        nearest = own[_nearest(outlines(x[rows]), outlines(watermark.triggers[own]))]
        targets[rows, label] -= weight
        targets[rows, watermark.labels[nearest]] += weight
    return targets


def outlines(x: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return means over squares of pixels, so that no side has more than 16: float32 [N, values].

    So likeness is one of shapes and not of single pixels, and is quickly found for large images.
    """
    count, height, width, channels = x.shape
    step = -(-max(height, width) // OUTLINE_SIDE)
    padded = np.pad(x, ((0, 0), (0, -height % step), (0, -width % step), (0, 0)), mode="edge")
    rows, columns = padded.shape[1] // step, padded.shape[2] // step
    squares = padded.reshape(count, rows, step, columns, step, channels)
    means = squares.mean(axis=(2, 4), dtype=np.float32).reshape(count, -1)
    return np.asarray(means / np.float32(255))


def _digest(image: NDArray[np.uint8]) -> bytes:
    """Return what tells images apart, without keeping all of them twice."""
    return hashlib.sha256(image.tobytes()).digest()


def _classes_of(
    triggers: NDArray[np.uint8], x: NDArray[np.uint8], y: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the class of each trigger, which is one of the images."""
    places = {_digest(image): place for place, image in enumerate(x)}
    found = [places.get(_digest(image)) for image in triggers]
    if None in found:
        raise UsageError(
            f"trigger {found.index(None)} of the claim is not among the training images",
            hint="make the claim over wmx.training.second_choice.representatives of these data",
        )
    return np.asarray(y[np.array(found)])


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return which centre is nearest to each point, in blocks: int64 [points]."""
    sizes = np.square(centres).sum(axis=1)
    blocks = [
        (sizes - 2 * points[start : start + BLOCK] @ centres.T).argmin(axis=1)
        for start in range(0, len(points), BLOCK)
    ]
    return np.concatenate(blocks).astype(np.int64)
