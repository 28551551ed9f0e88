"""Loaders of labeled data: each returns raw arrays by name; the caller validates them.

The names are x_train, y_train, x_test and y_test; or x and y, which the caller splits.
"""

import io
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from wmx._internal.files import open_regular, read_bytes
from wmx._internal.images import picture_paths, pillow, read_picture
from wmx._internal.imports import callable_from
from wmx.errors import CannotRunError, MissingExtraError, UsageError

SPLIT_NAMES = ("x_train", "y_train", "x_test", "y_test")
WHOLE_NAMES = ("x", "y")
Arrays = dict[str, Any]
UNSUSPICIOUS_BYTES = 2**30
MAX_TABLE_BYTES = 2**26
MAX_RATIO = 200  # deflate reaches 1,000 on zeros, and about 10 on images of digits


def read_digits() -> Arrays:
    """Return scikit-learn's 1,797 handwritten digits as uint8 [N, 8, 8], classes 0 to 9."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("scikit-learn", "torch") from None
    digits = load_digits()
    return {"x": np.rint(digits.images * (255 / 16)).astype(np.uint8), "y": digits.target}


def read_npz(path: Path) -> Arrays:
    """Return the arrays of an ``.npz`` file; pickled objects are refused, as they can run code.

    Raises:
        CannotRunError: the file cannot be read.
        UsageError: it holds other names, or pickled objects.
    """
    try:
        with open_regular(path, "data") as opened:
            if not is_zipfile(opened):
                raise CannotRunError(f"{path} is not an .npz file, or is truncated")
            _refuse_bomb(opened, path)
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as archive:
                for names in (SPLIT_NAMES, WHOLE_NAMES):
                    if set(names) <= set(archive.files):
                        return {name: archive[name] for name in names}
                found = ", ".join(archive.files) or "nothing"
    except OSError as error:
        raise CannotRunError(f"cannot read {path}: {error.strerror}") from None
    except (CannotRunError, MemoryError):
        raise
    except Exception as error:  # numpy reads headers with Python's tokenizer, and raises its errors
        if "allow_pickle" in str(error):
            raise UsageError(
                f"{path} holds pickled objects, which wmx never loads",
                hint="save plain arrays: np.savez(path, x_train=..., ...) without dtype=object",
            ) from None
        raise CannotRunError(f"{path} is a damaged .npz file: {error}") from None
    raise UsageError(
        f"{path} holds {found}; expected {', '.join(SPLIT_NAMES)}, or x and y",
        hint="name the arrays so, in small letters: np.savez(path, x=inputs, y=labels)",
    )


def read_table(path: Path, what: str) -> NDArray[Any]:
    """Return the array [rows, columns] of an ``.npy`` file, never a pickled one.

    Args:
        path: of the file.
        what: the contents, for errors.

    Raises:
        CannotRunError: the file cannot be read.
        UsageError: it holds something else.
    """
    data = read_bytes(path, what, MAX_TABLE_BYTES)
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # as in read_npz
        raise UsageError(f"{path} is not a numpy array that wmx reads: {error}") from None
    if not isinstance(array, np.ndarray) or array.ndim != 2:
        raise UsageError(f"{path} does not hold one array of two axes, as {what} are")
    return array


def _refuse_bomb(opened: BinaryIO, path: Path) -> None:
    """Refuse a decompression bomb: a small archive that would unpack to fill the memory."""
    with ZipFile(opened) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    packed = path.stat().st_size
    if unpacked > max(UNSUSPICIOUS_BYTES, MAX_RATIO * packed):
        raise CannotRunError(
            f"{path} would unpack to {unpacked:,} bytes, more than {MAX_RATIO} times its size",
            hint="real data do not compress this well; check where the file comes from",
        )


def read_callable(spec: str) -> Arrays:
    """Call ``package.module:callable``, which returns the four arrays.

    Raises:
        UsageError: it returned something else.
        CannotRunError: it failed.
    """
    function = callable_from(spec, "--data")
    try:
        result = function()
    except Exception as error:
        raise CannotRunError(f"--data: {spec} failed: {type(error).__name__}: {error}") from error
    if not isinstance(result, tuple | list) or len(result) != len(SPLIT_NAMES):
        raise UsageError(
            f"--data: {spec} returned {type(result).__name__}, expected the four arrays "
            + ", ".join(SPLIT_NAMES)
        )
    return dict(zip(SPLIT_NAMES, result, strict=True))


def read_folders(folder: Path, image_size: int | None) -> Arrays:
    """Read images from class folders; the classes are numbered by the folders' sorted names.

    Images are converted to gray if all of them are gray, else to RGB.

    Args:
        folder: holds one folder per class, or folders ``train`` and ``test`` that do.
        image_size: side in pixels to which all are resized; if ``None`` they must be of equal size.

    Raises:
        UsageError: fewer than two classes, an empty class, or images of different sizes.
        CannotRunError: an image cannot be read.
        MissingExtraError: Pillow is not installed.
    """
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        names = _class_names(folder / "train")
        test_names = _class_names(folder / "test")
        if names != test_names:
            raise UsageError(
                f"{folder}: the classes of train ({', '.join(names)}) and test "
                f"({', '.join(test_names)}) differ"
            )
        paths = [_picture_paths(folder / part, names) for part in ("train", "test")]
        train, test = paths
        images = _read_pictures([path for path, _ in train + test], image_size)
        labels = np.array([label for _, label in train + test])
        cut = len(train)
        return {
            "x_train": images[:cut],
            "y_train": labels[:cut],
            "x_test": images[cut:],
            "y_test": labels[cut:],
        }
    found = _picture_paths(folder, _class_names(folder))
    labels = np.array([label for _, label in found])
    return {"x": _read_pictures([path for path, _ in found], image_size), "y": labels}


def _class_names(folder: Path) -> list[str]:
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."
    )
    if len(names) < 2:
        raise UsageError(
            f"{folder} holds {len(names)} class folders, expected two or more",
            hint="one folder for each class, with its images in it",
        )
    return names


def _picture_paths(folder: Path, names: list[str]) -> list[tuple[Path, int]]:
    found = []
    for label, name in enumerate(names):
        paths = picture_paths(folder / name)
        if not paths:
            raise UsageError(f"the class folder {folder / name} holds no images")
        found += [(path, label) for path in paths]
    return found


def _read_pictures(paths: list[Path], image_size: int | None) -> NDArray[np.uint8]:
    """Return uint8 [N, H, W, C] with one channel if all pictures are gray, else three."""
    image_module = pillow()
    pictures = []
    for path in paths:
        picture = read_picture(path, "image", _gray_or_rgb)
        if image_size is not None:
            picture = picture.resize((image_size, image_size), image_module.Resampling.LANCZOS)
        pictures.append(picture)
    mode = "L" if all(picture.mode == "L" for picture in pictures) else "RGB"
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise UsageError(
            f"the images have {len(sizes)} different sizes", hint="resize them with --image-size N"
        )
    arrays = [np.asarray(picture.convert(mode)) for picture in pictures]
    return np.stack(arrays).reshape(len(arrays), *arrays[0].shape[:2], -1)


def _gray_or_rgb(picture: Any) -> Any:
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")
