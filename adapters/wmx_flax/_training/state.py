"""Converting NNX state to and from named NumPy arrays, for checkpoints and weight files."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray


def named_arrays(tree: Any, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return the leaves of a pytree as NumPy arrays by path.

    Args:
        tree: random keys become their key data, bfloat16 its bits in int16.
        prefix: of the names.
    """
    return {prefix + name: _array(leaf) for name, leaf in named_leaves(tree).items()}


def named_leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves of a pytree by their path, in the tree's order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_name(path): leaf for path, leaf in leaves}


def with_arrays(tree: Any, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Any:
    """Return a pytree like ``tree`` with the values of named arrays.

    Args:
        tree: gives structure and dtypes.
        arrays: what :func:`named_arrays` returned.
        prefix: of the names.

    Raises:
        KeyError: an array is missing.
        ValueError: an array has another shape.
    """
    leaves, shape = jax.tree_util.tree_flatten_with_path(tree)
    return jax.tree.unflatten(
        shape, [_leaf(arrays[prefix + _name(path)], leaf) for path, leaf in leaves]
    )


def weights_of(model: nnx.Module) -> Any:
    """Return the state that weight files hold: parameters and BatchNorm statistics."""
    return nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat))


def _name(path: tuple[Any, ...]) -> str:
    parts = (getattr(key, "key", getattr(key, "name", getattr(key, "idx", None))) for key in path)
    return ".".join(str(part) for part in parts if part != "value")


def _array(leaf: Any) -> NDArray[Any]:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    array = np.asarray(leaf)
    return array.view(np.int16) if leaf.dtype == jnp.bfloat16 else array


def _leaf(array: NDArray[Any], like: Any) -> jax.Array:
    if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    value = array.view(jnp.bfloat16) if like.dtype == jnp.bfloat16 else array
    if value.shape != like.shape:
        raise ValueError(f"found an array of shape {value.shape}, expected {like.shape}")
    return jax.device_put(jnp.asarray(value, like.dtype), like.sharding)
