"""Pseudo-random streams for everything a claim rebuilds: SHAKE-256, and uniform integers from it.

NumPy does not promise stable random streams between versions, so triggers, blinding values and
labels, which have to be rebuilt years later, do not use them.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

WORD = 2**32


def shake(seed: bytes, length: int) -> bytes:
    """Return SHAKE-256 output.

    Args:
        seed: input.
        length: bytes of output.
    """
    return hashlib.shake_256(seed).digest(length)


def uniform_integers(seed: bytes, count: int, bound: int) -> NDArray[np.int64]:
    """Return ``count`` integers uniform in ``0..bound-1``, drawn without bias by rejection.

    The stream of ``seed`` is read as big-endian 32-bit words; a word at or above the largest
    multiple of ``bound`` that fits into 32 bits is skipped, any other gives ``word % bound``.

    Args:
        seed: input of SHAKE-256.
        count: number of integers.
        bound: 1 to 2**32.

    Returns:
        int64 array of shape [count].

    Raises:
        ValueError: ``bound`` is out of range.
    """
    if not 1 <= bound <= WORD:
        raise ValueError(f"bound is {bound}, expected 1 to 2**32")
    limit = WORD - WORD % bound
    words = count + 16
    while True:
        stream = np.frombuffer(shake(seed, 4 * words), dtype=">u4").astype(np.uint64)
        accepted = stream[stream < limit]
        if len(accepted) >= count:
            return (accepted[:count] % np.uint64(bound)).astype(np.int64)
        words *= 2  # SHAKE output is prefix-consistent: a longer read repeats the same words
