"""The label set: drawn in public from the claim, so that nobody can choose it."""

import numpy as np
from numpy.typing import NDArray

from wmx.stream import uniform_integers


def derive_labels(digest: bytes, n: int, classes: int) -> NDArray[np.int64]:
    """Return the n labels, uniform in ``0..classes-1``.

    They hang on the *whole* claim: root, owner and task.  Changing any trigger redraws them all,
    another owner gets others, and nobody can choose a normalisation under which a model happens to
    give them.  A label derived per trigger would let a forger try inputs one by one
    (docs/protocol.md, "Why the labels hang on the whole claim").

    Args:
        digest: 32 bytes, SHA-256 of the claim's payload.
        n: number of triggers.
        classes: K.

    Returns:
        int64 array of shape [n].
    """
    return uniform_integers(b"wmx-2 labels" + digest, count=n, bound=classes)
