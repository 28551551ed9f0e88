"""The Merkle tree of RFC 6962 (section 2.1) over already hashed leaves."""

import hashlib
from collections.abc import Sequence

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """Return ``SHA-256(0x00 || data)``."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return ``SHA-256(0x01 || left || right)``."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def tree_head(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree head over leaf hashes.

    RFC 6962 splits at the largest power of two below n; pairing neighbours level by level and
    carrying an odd last node up unchanged builds the same tree without recursion.

    Args:
        leaves: results of :func:`leaf_hash`, in order.
    """
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        paired = [
            node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = paired + level[len(paired) * 2 :]
    return level[0]
