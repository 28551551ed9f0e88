"""The Merkle commitment to the triggers, and the proof that opens one (docs/protocol.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from wmx._internal.budget import consulted
from wmx.protocol.encoding import encode_array, encode_rows, u32
from wmx.protocol.merkle import audit_paths, head_from_path, leaf_hash, tree_head
from wmx.protocol.prf import shake


@dataclass(frozen=True)
class Opening:
    """One disclosed trigger with the proof that the claim commits to it.

    Attributes:
        trigger: in canonical form, [*task.shape].
        blind: 32 bytes, the blinding value, which also determines the trigger's label.
        path: 32-byte hashes of the audit path, from the leaf to the root.
    """

    trigger: NDArray[Any] = field(repr=False)
    blind: bytes = field(repr=False)
    path: tuple[bytes, ...] = field(repr=False)

    def belongs_to(self, root: bytes, index: int, n: int) -> bool:
        """Return whether this is a trigger of a commitment.

        Args:
            root: 32 bytes, of the claim.
            index: of the trigger, ``0..n-1``.
            n: number of triggers of the claim.
        """
        leaf = leaf_hash(self.blind + encode_array(self.trigger))
        return head_from_path(leaf, index, n, self.path) == root


def draw_blinds(secret: bytes, n: int) -> tuple[bytes, ...]:
    """Return the blinding values of n leaves, 32 bytes each.

    ``SHAKE-256(secret || "blind" || u32(i))``.  They keep unopened triggers and
    their labels from being guessed while others are opened.

    Args:
        secret: 32 bytes from :meth:`wmx.protocol.keys.OwnerKey.trigger_secret`.
        n: number of triggers.
    """
    return tuple(shake(secret + b"blind" + u32(index), 32) for index in consulted(range(n)))


def commitment_root(triggers: NDArray[Any], blinds: Sequence[bytes]) -> bytes:
    """Return the Merkle root over ``H(0x00 || blind_i || encode(x_i))``.

    Args:
        triggers: the whole set, [n, *task.shape].
        blinds: one for each, from :func:`draw_blinds`.
    """
    return tree_head(_leaves(triggers, blinds))


def open_triggers(
    triggers: NDArray[Any], blinds: Sequence[bytes], indices: Sequence[int]
) -> list[Opening]:
    """Return the openings of the triggers in ``indices``.

    Args:
        triggers: the whole set, [n, *task.shape].
        blinds: one for each, from :func:`draw_blinds`.
        indices: of the triggers to disclose.
    """
    paths = audit_paths(_leaves(triggers, blinds), indices)
    return [
        Opening(triggers[index], blinds[index], tuple(path))
        for index, path in zip(indices, paths, strict=True)
    ]


def _leaves(triggers: NDArray[Any], blinds: Sequence[bytes]) -> list[bytes]:
    encoded = encode_rows(triggers)
    return [leaf_hash(blind + row) for blind, row in consulted(zip(blinds, encoded, strict=True))]
