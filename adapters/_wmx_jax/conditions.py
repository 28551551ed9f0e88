"""What belongs to some steps of a training only, as a part of the one traced step."""

from collections.abc import Callable, Sequence

import jax

from _wmx_jax.convolutions import with_canonical_convolutions


def where_due(
    due: jax.Array, added: Callable[[], Sequence[jax.Array]], nothing: Sequence[jax.Array]
) -> list[jax.Array]:
    """Return what ``added`` gives at a step that is due, else ``nothing``, at no cost.

    Args:
        due: bool [].
        added: what is computed, convolutions and their gradients included.
        nothing: of the same shapes and dtypes.
    """
    chosen: list[jax.Array] = jax.lax.cond(
        due, lambda: list(with_canonical_convolutions(added)), lambda: list(nothing)
    )
    return chosen
