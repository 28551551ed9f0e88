"""Many claims over the same triggers, of which the luckiest is kept."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forging.claims import forged
from wmx import OwnerKey, Watermark
from wmx.labels import derive_labels, label_key
from wmx.task import Task

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
    answers: NDArray[np.int64],
    *,
    tries: int,
    start: int = 0,
) -> Ground:
    """Try notes until the labels fit the victim's answers as well as they ever do.

    The cheapest try there is: the triggers stay, so the commitment does, and the model is never
    asked again; a note is 16 bytes in the claim, of which a label key and n labels are computed.
    Nothing is signed before the winner is known.

    Args:
        answers: of the victim to the triggers, int64 [n].
        start: number of the first note.
    """
    mark = forged(key, task, triggers, note=NOTE)
    template = mark.claim.envelope.payload
    head, tail = template.split(NOTE.encode())
    assert template.count(NOTE.encode()) == 1
    most, best = -1, start
    for number in range(start, start + tries):
        digest = hashlib.sha256(head + f"{number:016}".encode() + tail).digest()
        hits = int((derive_labels(label_key(digest), mark.blinds, task.classes) == answers).sum())
        if hits > most:
            most, best = hits, number
    return Ground(forged(key, task, triggers, note=f"{best:016}"), most, tries)
