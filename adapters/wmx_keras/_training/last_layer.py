"""Finding the weights of the classifier layer."""

from collections.abc import Iterator
from typing import Any

from wmx.training.weights import no_last_layer
from wmx_keras._training.state import named_variables


def last_layer(model: Any, classes: int) -> list[str]:
    """Return the names of the weights of the classifier layer: the last with ``classes`` outputs.

    Args:
        model: whose layers are searched.
        classes: number of outputs.

    Raises:
        UsageError: no layer has a kernel with this number of outputs.
    """
    for layer in reversed(list(_leaves(model))):
        if any(len(w.shape) > 1 and w.shape[-1] == classes for w in layer.weights):
            own = {id(variable) for variable in layer.weights}
            named = named_variables(model.weights)
            return [name for name, variable in named.items() if id(variable) in own]
    raise no_last_layer(classes)


def _leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of a model and of its nested models, in order."""
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _leaves(layer)
        else:
            yield layer
