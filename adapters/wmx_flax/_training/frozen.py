"""Weights that training leaves as they are."""

from typing import Any

import jax
import jax.numpy as jnp

from wmx.training.loop import Frozen
from wmx_flax._training.state import named_leaves


class FrozenWeights:
    """Where the leaves of a pytree keep the value they have when this is made."""

    def __init__(self, tree: Any, frozen: Frozen) -> None:
        """Remember them; names that the tree does not have are left to other trees."""
        self._held = {
            name: (jnp.asarray(frozen[name]), jnp.array(leaf))  # a copy: steps give theirs away
            for name, leaf in named_leaves(tree).items()
            if name in frozen
        }

    def put_back(self, tree: Any) -> Any:
        """Return a tree like the one remembered, its frozen weights as they were."""
        leaves = [
            jnp.where(self._held[name][0], self._held[name][1], leaf)
            if name in self._held
            else leaf
            for name, leaf in named_leaves(tree).items()
        ]
        return jax.tree.unflatten(jax.tree.structure(tree), leaves)
