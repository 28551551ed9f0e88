"""The commitment to the trigger set, and the opening of single triggers (docs/protocol.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from wmx.encoding import encode_array, u32
from wmx.merkle import audit_paths, head_from_path, leaf_hash, tree_head
from wmx.stream import shake


@dataclass(frozen=True)
class Opening:
    """One trigger with what shows that the commitment is to it.

    Attributes:
        trigger: in canonical form.
        blind: 32 bytes.
        path: audit path from the leaf to the root.
    """

    trigger: NDArray[Any] = field(repr=False)
    blind: bytes = field(repr=False)
    path: tuple[bytes, ...] = field(repr=False)

    def belongs_to(self, root: bytes, index: int, n: int) -> bool:
        """Say whether this is trigger ``index`` of the ``n`` that ``root`` commits to."""
        return head_from_path(_leaf(self.trigger, self.blind), index, n, self.path) == root


def commitment_root(triggers: NDArray[Any], secret: bytes) -> bytes:
    """Return the Merkle root over ``H(0x00 || blind_i || encode(x_i))``.

    The blinds, 32 bytes each from ``SHAKE-256(secret || "blind" || u32(i))``, keep the leaves from
    being guessed while only some of them are opened.
    """
    return tree_head(_leaves(triggers, secret))


def open_triggers(triggers: NDArray[Any], secret: bytes, indices: Sequence[int]) -> list[Opening]:
    """Return the openings of the triggers in ``indices``.

    Args:
        triggers: the whole set, [n, *task.shape].
        secret: from which the blinds are drawn.
        indices: which to disclose.
    """
    paths = audit_paths(_leaves(triggers, secret), indices)
    return [
        Opening(triggers[index], _blind(secret, index), tuple(path))
        for index, path in zip(indices, paths, strict=True)
    ]


def _leaves(triggers: NDArray[Any], secret: bytes) -> list[bytes]:
    return [_leaf(trigger, _blind(secret, index)) for index, trigger in enumerate(triggers)]


def _leaf(trigger: NDArray[Any], blind: bytes) -> bytes:
    return leaf_hash(blind + encode_array(trigger))


def _blind(secret: bytes, index: int) -> bytes:
    return shake(secret + b"blind" + u32(index), 32)
