"""The secret labels of triggers: drawn from the claim and each trigger's blinding value.

So nobody can choose a label, and only the owner knows it before its trigger is opened.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import consulted
from wmx.protocol.encoding import u32
from wmx.protocol.prf import WORD, shake, uniform_integers

KEY_SALT = b"wmx-3 labels"
SCRYPT_N = 2**12  # times 128 r bytes: 4 MiB, about 10 ms
SCRYPT_R = 8


@lru_cache(maxsize=64)
def label_key(digest: bytes) -> bytes:
    """Return the 32-byte key of a claim's labels; public, as the claim is.

    It is ``scrypt(digest)`` (RFC 7914) and not the digest itself, so that each try of a forger who
    searches for a claim whose labels fit a given model costs time (docs/protocol.md).

    Args:
        digest: 32 bytes, SHA-256 of the claim's payload.
    """
    return hashlib.scrypt(digest, salt=KEY_SALT, n=SCRYPT_N, r=SCRYPT_R, p=1, dklen=32)


def derive_labels(
    key: bytes, blinds: Sequence[bytes], classes: int, start: int = 0
) -> NDArray[np.int64]:
    """Return the labels of triggers ``start``, ``start + 1``, ..., uniform in ``0..classes-1``.

    They depend on the *whole* claim: root, owner and task.  Changing any trigger or blinding value
    changes the root and with it all labels, another owner gets others, and nobody can choose a
    normalization with which a model happens to predict them.  They also depend on the blinding
    values, which stay secret until a trigger is opened: the claim alone does not reveal them
    (docs/protocol.md, section 5).

    Args:
        key: 32 bytes, from :func:`label_key`.
        blinds: 32 bytes each, one per trigger.
        classes: number of classes, K.
        start: index of the first trigger.

    Returns:
        int64 array of shape [len(blinds)].
    """
    limit = WORD - WORD % classes
    prefix = b"wmx-3 label" + key
    labels = np.empty(len(blinds), np.int64)
    for place, blind in enumerate(consulted(blinds)):
        seed = prefix + u32(start + place) + blind
        word = int.from_bytes(shake(seed, 4), "big")
        # almost always the first word of the stream decides
        labels[place] = word % classes if word < limit else uniform_integers(seed, 1, classes)[0]
    return labels
