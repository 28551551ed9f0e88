"""The Merkle tree of RFC 6962 (section 2.1) over leaf hashes: root, audit paths, verification."""

import hashlib
from collections.abc import Iterable, Sequence

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """Return ``SHA-256(0x00 || data)``."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return ``SHA-256(0x01 || left || right)``.

    Args:
        left, right: 32-byte hashes of the children.
    """
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def tree_head(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree head over leaf hashes.

    Args:
        leaves: results of :func:`leaf_hash`, in order.
    """
    if not leaves:
        return hashlib.sha256(b"").digest()
    return _levels(leaves)[-1][0]


def audit_paths(leaves: Sequence[bytes], indices: Iterable[int]) -> list[list[bytes]]:
    """Return the audit path of each leaf in ``indices``: its siblings up to the tree head.

    RFC 6962, section 2.1.1: from the leaf upwards; a node that is carried up has no sibling.

    Args:
        leaves: results of :func:`leaf_hash`, in order.
        indices: of the leaves, ``0..len(leaves)-1``.
    """
    levels = _levels(leaves)
    return [
        [
            level[index >> height ^ 1]
            for height, level in enumerate(levels[:-1])
            if index >> height ^ 1 < len(level)
        ]
        for index in indices
    ]


def head_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the tree head that an audit path leads to, ``None`` if it has the wrong length.

    Args:
        leaf: result of :func:`leaf_hash`.
        index: place of the leaf, ``0..size-1``.
        size: number of leaves of the tree.
        path: siblings from the leaf upwards.
    """
    node, siblings = leaf, iter(path)
    while size > 1:
        is_carried_up = index == size - 1 and size % 2 == 1
        if not is_carried_up:
            sibling = next(siblings, None)
            if sibling is None:
                return None
            node = node_hash(sibling, node) if index % 2 else node_hash(node, sibling)
        index, size = index // 2, (size + 1) // 2
    return node if next(siblings, None) is None else None


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the tree level by level, from the leaves to the head.

    RFC 6962 splits at the largest power of two below n; pairing neighbors level by level and
    carrying an odd last node up unchanged builds the same tree without recursion.
    """
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        level = levels[-1]
        paired = [
            node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        levels.append(paired + level[len(paired) * 2 :])
    return levels
