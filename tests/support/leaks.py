"""Looking for secrets in what is written and sent: in every spelling, and behind base64 and PNG."""

import base64
import binascii
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
HEX = re.compile(rb"(?:[0-9a-f]{2}){24,}|(?:[0-9A-F]{2}){24,}")
PNG = b"\x89PNG\r\n\x1a\n"
DEPTH = 5  # an evidence is base64, its openings are base64 in that, a picture is compressed
ENTROPY = 48.0  # bits of labels in a row that do not stand there by chance
ANCHOR = 8  # bytes by which a spelling is first looked for

BETWEEN_NUMBERS = (",", ", ", " ", "\n", ";", "\t")


def spellings(secret: bytes) -> Iterator[bytes]:
    """Yield the ways in which bytes get into texts, files and requests."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield repr(secret)[2:-1].encode()
    for before in range(3):  # base64 of something that begins before the secret and ends behind it
        text = base64.b64encode(bytes(before) + secret)
        inner = text[4 if before else 0 : len(text) // 4 * 4 - 4]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
    yield from numbers(np.frombuffer(secret, np.uint8))


def numbers(values: NDArray[Any]) -> Iterator[bytes]:
    """Yield the ways in which numbers are printed in a row."""
    for between in BETWEEN_NUMBERS:
        yield between.join(map(str, values.tolist())).encode()


def of_bytes(secret: bytes) -> set[bytes]:
    """Return what to look for of a secret, whole and by halves."""
    half = len(secret) // 2
    parts = [secret] if half < 16 else [secret, secret[:half], secret[half:]]
    return {spelled for part in parts for spelled in spellings(part)}


def of_input(trigger: NDArray[Any], seen: NDArray[Any]) -> set[bytes]:
    """Return what to look for of a trigger: as committed to, and as a model sees it.

    Always whole: two triggers of few cells may well have half of them in common.
    """
    forms = [trigger, *(seen.astype(dtype) for dtype in ("<f4", ">f4", "<f8", ">f8"))]
    if trigger.ndim == 3:
        forms += [np.moveaxis(form, -1, 0) for form in forms]
    if trigger.dtype.itemsize > 1:
        forms.append(trigger.astype(trigger.dtype.newbyteorder(">")))
    found = {spelled for form in forms for spelled in spellings(form.tobytes())}
    return found | set(numbers(seen.reshape(-1)))


def of_labels(labels: NDArray[np.int64], classes: int) -> set[bytes]:
    """Return what to look for of a row of labels, and how often each of them occurs."""
    found = set(numbers(np.bincount(labels, minlength=classes))) if classes > 4 else set()
    length = math.ceil(ENTROPY / math.log2(classes))
    for start in range(len(labels) - length + 1):
        row = labels[start : start + length]
        found |= set(numbers(row))
        for dtype in ("u1", "<i4", ">i4", "<i8", ">i8", "<f4", ">f4", "<f8", ">f8"):
            found.add(row.astype(dtype).tobytes())
        if classes <= 10:
            found.add("".join(map(str, row)).encode())
    return found


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


class Search:
    """Looks for many spellings of many secrets at once.

    Every spelling has an anchor, eight bytes somewhere in it; only where one of all anchors stands
    is the whole spelling compared.
    """

    def __init__(self, secrets: Mapping[str, Iterable[bytes]]) -> None:
        self._spelled: dict[int, list[tuple[int, bytes, str]]] = defaultdict(list)
        for name, spelled in secrets.items():
            for one in spelled:
                assert len(one) >= ANCHOR, f"{name}: {one!r} is too short to mean anything"
                at = max(range(len(one) - ANCHOR + 1), key=lambda at: _variety(one, at))
                anchor = int.from_bytes(one[at : at + ANCHOR], "little")
                self._spelled[anchor].append((at, one, name))
        self._anchors = np.array(sorted(self._spelled), np.uint64)

    def found(self, data: bytes) -> set[str]:
        """Return the names of the secrets that stand in ``data`` in any spelling."""
        return {name for layer in unfolded(data) for name in self._in_layer(layer)}

    def _in_layer(self, layer: bytes) -> Iterator[str]:
        if len(layer) < ANCHOR:
            return
        trigger_slices = np.lib.stride_tricks.sliding_window_view(
            np.frombuffer(layer, np.uint8), ANCHOR
        )
        words = np.ascontiguousarray(trigger_slices).view("<u8").reshape(-1)
        places = np.searchsorted(self._anchors, words)
        places[places == len(self._anchors)] = 0
        for place in np.flatnonzero(self._anchors[places] == words):
            for at, one, name in self._spelled[int(words[place])]:
                if place >= at and layer[place - at : place - at + len(one)] == one:
                    yield name


def _variety(text: bytes, at: int) -> int:
    return len(set(text[at : at + ANCHOR]))


def _pixels(png: bytes) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of a picture, and each of its channels alone."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)))
    yield pixels
    if pixels.ndim == 3:
        yield from np.moveaxis(pixels, -1, 0)
