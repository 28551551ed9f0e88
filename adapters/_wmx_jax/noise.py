"""Noise for perturbing the weights."""

from collections.abc import Sequence

import jax
import numpy as np


def normals(values: Sequence[jax.Array], seed: int, step: jax.Array) -> list[jax.Array]:
    """Return standard normal draws of the values' shapes and dtypes.

    They depend on (seed, step, index in the list) alone.

    Args:
        values: give shapes and dtypes.
        seed: of the run.
        step: an integer, may be traced.
    """
    # one draw for all: XLA takes almost half a second to compile each
    key = jax.random.fold_in(jax.random.key(seed), step)
    draw = jax.random.normal(key, (sum(value.size for value in values),))
    parts = jax.numpy.split(draw, np.cumsum([value.size for value in values])[:-1])
    return [p.reshape(v.shape).astype(v.dtype) for p, v in zip(parts, values, strict=True)]
