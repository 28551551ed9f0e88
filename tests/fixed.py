"""A watermark that is the same in every run, for the tests that train.

What a training ends at hangs on its triggers: with fresh ones a bound would be met by luck.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wmx import OwnerKey, Watermark
from wmx.task import Task

OWNER = OwnerKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
DIGITS = Task("image", (8, 8, 1), 10, mean=("0.3",), std=("0.4",))


def fixed_watermark(task: Task = DIGITS, **more: Any) -> Watermark:
    """Return the one watermark of ``task``; ``more`` as for ``Watermark.for_task``."""
    return Watermark.for_task(OWNER, task, salt=bytes(32), created="2026-01-01T00:00:00Z", **more)
