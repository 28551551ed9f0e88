"""Finding the weights of the classifier layer."""

from collections.abc import Iterator

from flax import nnx

from wmx.training.weights import no_last_layer
from wmx_flax._training.state import named_leaves, weights_of


def last_layer(model: nnx.Module, classes: int) -> list[str]:
    """Return the names of the weights of the classifier layer: the last with ``classes`` outputs.

    Args:
        model: whose layers are searched, in the order of their creation.
        classes: number of outputs.

    Raises:
        UsageError: no layer has a kernel with this number of outputs.
    """
    weights = named_leaves(weights_of(model))
    for prefix in reversed(list(_modules(model))):
        own = {n: w for n, w in weights.items() if n.rpartition(".")[0] == prefix}
        if any(w.ndim > 1 and w.shape[-1] == classes for w in own.values()):
            return list(own)
    raise no_last_layer(classes)


def _modules(module: nnx.Module, prefix: str = "") -> Iterator[str]:
    """Yield the paths of all modules in the order of their creation; NNX itself sorts them."""
    yield prefix
    for name, value in vars(module).items():
        if isinstance(value, nnx.Module | nnx.List | nnx.Dict):
            yield from _modules(value, f"{prefix}.{name}" if prefix else name)
