"""The label set: drawn in public from the commitment, so that nobody can choose it."""

import numpy as np
from numpy.typing import NDArray

from wmx.encoding import u32
from wmx.stream import uniform_integers


def derive_labels(root: bytes, owner: bytes, n: int, classes: int) -> NDArray[np.int64]:
    """Return the n labels, uniform in ``0..classes-1``.

    They hang on the root over the *whole* set and on the owner: changing any trigger redraws them
    all, and another owner gets others.  A label derived per trigger would let a forger try inputs
    one by one (docs/protocol.md, "Why the labels hang on the root").

    Args:
        root: 32-byte Merkle root of the commitment.
        owner: 32-byte raw Ed25519 public key.
        n: number of triggers.
        classes: K.

    Returns:
        int64 array of shape [n].
    """
    return uniform_integers(
        b"wmx-1 labels" + root + owner + u32(n) + u32(classes), count=n, bound=classes
    )
