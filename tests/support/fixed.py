"""Keys and a watermark that are the same in every run, and real digits for it.

What a training ends at hangs on its triggers, and what a guess hits on the labels: with fresh ones
a bound would be met by luck.
"""

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wmx import OwnerKey, Watermark
from wmx.protocol.task import Task

OWNER, THIEF = (
    OwnerKey(Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32))))
    for first in (0, 32)
)
DIGITS = Task("image", (8, 8, 1), 10, mean=("0.3",), std=("0.4",))


def fixed_watermark(task: Task = DIGITS, **more: Any) -> Watermark:
    """Return the one watermark of ``task``; ``more`` as for ``Watermark.for_task``."""
    return Watermark.for_task(OWNER, task, salt=bytes(32), created="2026-01-01T00:00:00Z", **more)


def normalised_digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first of scikit-learn's digits, normalised as DIGITS says, and their classes."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = ((bunch.images / 16 - 0.3) / 0.4).astype(np.float32)[:count, :, :, None]
    return x, bunch.target[:count].astype(np.int64)
