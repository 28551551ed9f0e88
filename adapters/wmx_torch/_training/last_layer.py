"""Finding the weights of the classifier layer."""

from torch import nn

from wmx.training.weights import no_last_layer


def last_layer(model: nn.Module, classes: int) -> list[str]:
    """Return the names of the weights of the classifier layer: the last with ``classes`` outputs.

    Args:
        model: whose layers are searched, in the order of their creation.
        classes: number of outputs.

    Raises:
        UsageError: no layer has a kernel with this number of outputs.
    """
    for prefix, module in reversed(list(model.named_modules())):
        own = dict(module.named_parameters(prefix, recurse=False))
        if any(p.ndim > 1 and p.shape[0] == classes for p in own.values()):
            return list(own)
    raise no_last_layer(classes)
