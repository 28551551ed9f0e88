"""Computing the recipe's gradient only at some steps, inside a jitted training step."""

from collections.abc import Callable, Sequence

import jax

from _wmx_jax.convolutions import with_canonical_convolutions


def where_due(
    due: jax.Array, added: Callable[[], Sequence[jax.Array]], nothing: Sequence[jax.Array]
) -> list[jax.Array]:
    """Return the result of ``added`` if the condition holds, else ``nothing``, at no cost.

    Args:
        due: the condition, bool [].
        added: the computation, which may contain convolutions and their gradients.
        nothing: arrays of the same shapes and dtypes.
    """
    chosen: list[jax.Array] = jax.lax.cond(
        due, lambda: list(with_canonical_convolutions(added)), lambda: list(nothing)
    )
    return chosen
