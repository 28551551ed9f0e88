"""Freezing single weights during training."""

from typing import Any

import jax
import jax.numpy as jnp

from wmx.training.adapter import Frozen
from wmx_flax._training.state import named_leaves


class FrozenWeights:
    """Remembers the values of frozen leaves of a pytree, to restore them after steps."""

    def __init__(self, tree: Any, frozen: Frozen) -> None:
        """Remember the present values.

        Args:
            tree: the pytree.
            frozen: masks by name, true where a weight is frozen; names of other trees are ignored.
        """
        self._held = {
            name: (
                jnp.asarray(frozen[name]),
                jnp.array(leaf),
            )  # a copy, as steps donate their buffers
            for name, leaf in named_leaves(tree).items()
            if name in frozen
        }

    def put_back(self, tree: Any) -> Any:
        """Return a copy of ``tree`` with the frozen weights restored."""
        leaves = [
            jnp.where(self._held[name][0], self._held[name][1], leaf)
            if name in self._held
            else leaf
            for name, leaf in named_leaves(tree).items()
        ]
        return jax.tree.unflatten(jax.tree.structure(tree), leaves)
