"""Many claims over the same triggers, of which the luckiest is kept."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from support.forging.claims import forged
from wmx import OwnerKey, Watermark
from wmx.protocol.labels import derive_labels, label_key
from wmx.protocol.task import Task

NOTE = "0" * 16


@dataclass(frozen=True)
class Ground:
    """The luckiest claim of many.

    Attributes:
        watermark: the claim.
        hits: of the known answers.
        tries: how many there were.
    """

    watermark: Watermark
    hits: int
    tries: int


def ground(
    key: OwnerKey,
    task: Task,
    triggers: NDArray[np.uint8],
    predictions: NDArray[np.int64],
    *,
    tries: int,
    start: int = 0,
    misses: int | None = None,
) -> Ground:
    """Try notes until the labels fit the victim's answers as well as they ever do.

    The cheapest try there is: the triggers stay, so the commitment does, and the model is never
    asked again; a note is 16 bytes in the claim, of which a label key and n labels are computed.
    Nothing is signed before the winner is known.

    Args:
        answers: of the victim to the triggers, int64 [n].
        tries: how many notes.
        start: number of the first note.
        misses: a try is given up when more labels than so many are wrong; never if ``None``.  Once
            its label key is known, the labels of a try are cheap, and a hopeless one shows soon.
    """
    mark = forged(key, task, triggers, note=NOTE)
    template = mark.claim.envelope.payload
    head, tail = template.split(NOTE.encode())
    assert template.count(NOTE.encode()) == 1
    allowed = len(predictions) if misses is None else misses
    most, best = -1, start
    for number in range(start, start + tries):
        digest = hashlib.sha256(head + f"{number:016}".encode() + tail).digest()
        hits = _hits(label_key(digest), mark.blinds, predictions, task.classes, allowed)
        if hits > most:
            most, best = hits, number
    return Ground(forged(key, task, triggers, note=f"{best:016}"), most, tries)


@contextmanager
def cheap_label_keys() -> Iterator[None]:
    """Let a label key cost a ten-thousandth, while claims are ground: its price, not the odds."""
    here, there = "support.forging.grinding.label_key", "wmx.protocol.claim.label_key"
    with patch(here, _cheap), patch(there, _cheap):
        yield


def _cheap(digest: bytes) -> bytes:
    return hashlib.sha256(digest).digest()


def _hits(
    key: bytes, blinds: Sequence[bytes], predictions: NDArray[np.int64], classes: int, misses: int
) -> int:
    """Return how many labels are the answers, or -1 where too many are not."""
    if misses == len(predictions):
        return int((derive_labels(key, blinds, classes) == predictions).sum())
    wrong = 0
    for index, blind in enumerate(blinds):
        wrong += int(derive_labels(key, [blind], classes, index)[0] != predictions[index])
        if wrong > misses:
            return -1
    return len(predictions) - wrong
