"""Reading image files with Pillow, which is an optional dependency."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wmx._internal.files import open_regular
from wmx.errors import CannotRunError, MissingExtraError

# Pillow goes by content, not by name, and runs external programs for some other formats
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def pillow() -> Any:
    """Return Pillow's ``Image`` module.  Raises :class:`MissingExtraError` without Pillow."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("Pillow", "images") from None
    return Image


def picture_paths(folder: Path) -> list[Path]:
    """Return the picture files of a folder in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def read_picture(path: Path, what: str, prepare: Callable[[Any], Any]) -> Any:
    """Open an image file and return the result of ``prepare``, called while the file is open.

    Args:
        path: the file.
        what: its role in the error message, e.g. ``"picture"``.
        prepare: takes the opened Pillow image; decoding happens here.

    Raises:
        CannotRunError: the file cannot be read or decoded, or is absurdly large.
    """
    image_module = pillow()
    try:
        with (
            open_regular(path, what) as file,
            warnings.catch_warnings(action="error"),  # a picture that is only half absurd is one
            image_module.open(file, formats=FORMATS) as opened,
        ):
            return prepare(opened)
    except CannotRunError:
        raise
    except Exception as error:  # decoders raise whatever their parsers stumble over
        raise CannotRunError(f"cannot read the {what} {path}: {error}") from None
