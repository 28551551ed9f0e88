"""Looking for secrets in what is written and sent: in every spelling, and behind base64 and PNG."""

import base64
import binascii
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
HEX = re.compile(rb"(?:[0-9a-f]{2}){24,}|(?:[0-9A-F]{2}){24,}")
PNG = b"\x89PNG\r\n\x1a\n"
DEPTH = 5  # evidence in base64, openings in base64 in that, a picture's pixels
LABELS_IN_A_ROW = 10


def spellings(secret: bytes) -> Iterator[bytes]:
    """Yield the ways in which bytes get into texts, files and requests."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield repr(secret)[2:-1].encode()
    for before in range(3):  # base64 of something that begins before the secret
        text = base64.b64encode(bytes(before) + secret)
        inner = text[4 if before else 0 : len(text) // 4 * 4 - 4]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
    yield from numbers(np.frombuffer(secret, np.uint8)[:24])


def numbers(values: NDArray[Any]) -> Iterator[bytes]:
    """Yield the ways in which integers are printed in a row."""
    for between in (",", ", ", " ", "\n", ";", "\t"):
        yield between.join(map(str, values.tolist())).encode()


def of_bytes(secret: bytes) -> set[bytes]:
    """Return what to look for of a secret, whole and by halves."""
    half = len(secret) // 2
    parts = [secret] if half < 16 else [secret, secret[:half], secret[half:]]
    return {spelled for part in parts for spelled in spellings(part)}


def of_input(trigger: NDArray[Any], seen: NDArray[Any]) -> set[bytes]:
    """Return what to look for of a trigger: as committed to, and as a model sees it."""
    forms = [trigger]
    for dtype in ("<f4", ">f4", "<f8", ">f8"):
        forms += [seen.astype(dtype), np.moveaxis(seen, -1, 0).astype(dtype)]
    if trigger.ndim == 3:
        forms.append(np.moveaxis(trigger, -1, 0))
    else:
        forms += [trigger.astype(trigger.dtype.newbyteorder(order)) for order in "<>"]
    found = {spelled for form in forms for spelled in of_bytes(form.tobytes())}
    return found | {text for text in numbers(seen.reshape(-1)[:12]) if text.count(b"0") < len(text)}


def of_labels(labels: NDArray[np.int64], classes: int) -> set[bytes]:
    """Return what to look for of a row of labels, and how often each of them occurs."""
    found: set[bytes] = set()
    for start in range(0, len(labels) - LABELS_IN_A_ROW + 1):
        row = labels[start : start + LABELS_IN_A_ROW]
        found |= set(numbers(row))
        found.add(row.astype(np.uint8).tobytes())
        for dtype in ("<i4", ">i4", "<i8", ">i8", "<f4", ">f4"):
            found.add(row.astype(dtype).tobytes())
        if row.max() < 10:
            found.add("".join(map(str, row)).encode())
    counts = np.bincount(labels, minlength=classes)
    return found | set(numbers(counts))


def unfolded(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """Yield data, and whatever stands in it in base64, in hexadecimal digits or as a picture."""
    yield data
    if depth == 0:
        return
    if data.startswith(PNG):
        yield from (picture.tobytes() for picture in _pixels(data))
        return
    for text in BASE64.findall(data):
        plain = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        try:
            decoded = base64.b64decode(plain + b"=" * (-len(plain) % 4))
        except binascii.Error:
            continue
        yield from unfolded(decoded, depth - 1)
    for text in HEX.findall(data):
        yield bytes.fromhex(text.decode())


def leaks(data: bytes, secrets: Mapping[str, set[bytes]]) -> set[str]:
    """Return the names of the secrets that stand in ``data`` in any spelling."""
    layers = list(unfolded(data))
    return {
        name
        for name, spelled in secrets.items()
        if any(one in layer for layer in layers for one in spelled)
    }


def _pixels(png: bytes) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of a picture, and each of its channels alone."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)))
    yield pixels
    if pixels.ndim == 3:
        yield from np.moveaxis(pixels, -1, 0)
