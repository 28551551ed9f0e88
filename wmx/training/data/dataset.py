"""Labeled data in canonical form, from any source, validated before training."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.protocol.task import Kind, Task
from wmx.training.data.cifar import CIFAR, read_cifar
from wmx.training.data.loaders import read_callable, read_digits, read_folders, read_npz
from wmx.training.data.validation import canonical_inputs, canonical_labels
from wmx.triggers import Generator
from wmx.triggers.features import Features
from wmx.triggers.tokens import Tokens

QUANTILES = 16
IMAGE_DIGITS = 4  # decimals of mean and std for images, as papers and model cards print them
FEATURE_DIGITS = 6  # significant digits for features, whose scales may differ by any factor


@dataclass(frozen=True)
class LabeledData:
    """A training split and a test split in canonical form.

    Attributes:
        x_train, x_test: uint8 [N, H, W, C] images, float32 [N, F] features or int32 [N, L] tokens.
        y_train, y_test: int64 [N], classes ``0..classes-1``, each of which occurs in training.
        kind: ``"image"``, ``"features"`` or ``"tokens"``.
        classes: number of classes, K.
        name: for reports and errors.
    """

    x_train: NDArray[Any] = field(repr=False)
    y_train: NDArray[np.int64] = field(repr=False)
    x_test: NDArray[Any] = field(repr=False)
    y_test: NDArray[np.int64] = field(repr=False)
    kind: Kind
    classes: int
    name: str

    @classmethod
    def of(cls, x_train: Any, y_train: Any, x_test: Any, y_test: Any, name: str) -> "LabeledData":
        """Convert arrays to canonical form and validate them.

        Integers with 3 or 4 axes are images of pixels 0 to 255 (NHW, NHWC or NCHW), floats with 2
        axes are features, integers of more than 8 bits with 2 axes are token ids.

        Args:
            x_train, x_test: inputs.
            y_train, y_test: integer classes.
            name: for reports and errors.

        Raises:
            UsageError: says what was found and what was expected.
        """
        x_train, kind = canonical_inputs(np.asarray(x_train), f"{name}: x_train")
        x_test, test_kind = canonical_inputs(np.asarray(x_test), f"{name}: x_test")
        if (kind, x_train.shape[1:]) != (test_kind, x_test.shape[1:]):
            raise UsageError(
                f"{name}: training inputs are {kind} {x_train.shape[1:]}, "
                f"test inputs {test_kind} {x_test.shape[1:]}; expected the same"
            )
        y_train = canonical_labels(np.asarray(y_train), len(x_train), f"{name}: y_train")
        y_test = canonical_labels(np.asarray(y_test), len(x_test), f"{name}: y_test")
        classes = int(y_train.max()) + 1
        if classes < 2:
            raise UsageError(f"{name}: all training labels are 0, expected two classes or more")
        empty = np.setdiff1d(np.arange(classes), y_train)
        if len(empty):
            raise UsageError(
                f"{name}: class {empty[0]} has no training sample, and labels go up to "
                f"{classes - 1}",
                hint="number the classes 0, 1, 2, ... without gaps",
            )
        if y_test.max() >= classes:
            raise UsageError(f"{name}: y_test holds class {y_test.max()}, y_train does not")
        return cls(x_train, y_train, x_test, y_test, kind, classes, name)

    @cached_property
    def task(self) -> Task:
        """The task, normalized by mean and standard deviation of the training split."""
        shape = self.x_train.shape[1:]
        if self.kind == "tokens":
            return Task.of(shape, self.classes, kind="tokens")
        mean, std = _moments(self.x_train, self.kind)
        try:
            return Task.of(shape, self.classes, kind=self.kind, mean=mean, std=std)
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}") from None

    @cached_property
    def vocabulary(self) -> int | None:
        """For tokens, one more than the highest id in both splits; otherwise ``None``."""
        if self.kind != "tokens":
            return None
        return max(int(self.x_train.max()), int(self.x_test.max())) + 1

    def trigger_generator(self) -> Generator | None:
        """Return the trigger family that is made from the data; ``None`` for images.

        For features it draws from 16 quantiles of each, which the claim holds encrypted.
        """
        if self.kind == "features":
            return Features.of(quantiles(self.x_train))
        if self.vocabulary is not None:
            return Tokens(max(2, self.vocabulary))
        return None


def load_data(spec: str, *, image_size: int | None = None, seed: int = 0) -> LabeledData:
    """Read labeled data.

    Args:
        spec: ``"digits"``; ``"cifar10"`` or ``"cifar100"``, from the authors' binary archive in
            the store, or with ``:PATH`` from there, archive or folder; an ``.npz`` file; a folder
            with one folder of images per class; or ``"package.module:callable"``, called without
            arguments.
        image_size: side in pixels to which a folder's images are resized; for folders only.
        seed: of the split into 80 % training and 20 % test data, where the source has no split.

    Raises:
        UsageError: the data are not in a form that is supported.
        CannotRunError: they cannot be read.
        MissingExtraError: scikit-learn (digits) or Pillow (folders) is not installed.
    """
    path = Path(spec)
    if image_size is not None and not path.is_dir():
        raise UsageError(
            "an image size applies to folders of images only; resize other data beforehand"
        )
    first, _, rest = spec.partition(":")
    if spec == "digits":
        arrays = read_digits()
    elif first in CIFAR:
        arrays = read_cifar(first, Path(rest) if rest else None)
    elif path.is_dir():
        arrays = read_folders(path, image_size)
    elif path.suffix == ".npz":
        arrays = read_npz(path)
    elif ":" in spec and not path.exists():
        arrays = read_callable(spec)
    else:
        raise UsageError(
            f"data {spec!r} is neither an existing .npz file nor an existing folder",
            hint="expected digits, cifar10, cifar100, FILE.npz, a folder of class folders, or "
            "package.module:callable",
        )
    if "x" in arrays:
        arrays = _split(arrays["x"], arrays["y"], spec, seed)
    return LabeledData.of(**arrays, name=spec)


def data_path(spec: str) -> Path | None:
    """Return the file or folder that :func:`load_data` reads; ``None`` if it is given none.

    Args:
        spec: as of :func:`load_data`.
    """
    first, _, rest = spec.partition(":")
    if first in CIFAR:
        return Path(rest) if rest else None
    path = Path(spec)
    return path if spec != "digits" and path.exists() else None


def quantiles(features: NDArray[np.float32], count: int = QUANTILES) -> NDArray[np.float32]:
    """Return evenly spaced quantiles of each feature; all are values that occur in the data.

    Args:
        features: float32 [N, F].
        count: number of quantiles, 2 to 256.

    Returns:
        float32 [F, count].
    """
    levels = np.linspace(0.0, 1.0, count)
    return np.quantile(features, levels, axis=0, method="nearest").T.astype(np.float32)


def _split(x: Any, y: Any, name: str, seed: int) -> dict[str, Any]:
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise UsageError(f"{name}: x of shape {x.shape} and y of shape {y.shape} do not fit")
    if len(x) < 2:
        raise UsageError(f"{name}: {len(x)} samples, expected at least 2")
    order = np.random.default_rng([seed, len(x)]).permutation(len(x))
    train, test = np.split(order, [min(len(x) - 1, round(0.8 * len(x)))])
    return {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test]}


def _moments(x: NDArray[Any], kind: Kind) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel (of pixels in 0..1) or per feature."""
    if kind == "features":
        mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        means = [float(f"{value:.{FEATURE_DIGITS}g}") for value in mean]
        # a constant feature has no scale: it is centered only
        return means, [float(f"{value:.{FEATURE_DIGITS}g}") or 1.0 for value in std]
    # from a histogram: exact, and no float copy of the images
    counts = [np.bincount(x[..., c].ravel(), minlength=256) for c in range(x.shape[-1])]
    values = np.arange(256) / 255.0
    mean = np.array([np.average(values, weights=count) for count in counts])
    variance = [
        np.average((values - m) ** 2, weights=count) for m, count in zip(mean, counts, strict=True)
    ]
    stds = [round(float(np.sqrt(v)), IMAGE_DIGITS) or 1.0 for v in variance]
    return [round(float(value), IMAGE_DIGITS) for value in mean], stds
