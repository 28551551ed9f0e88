"""Which weights give the class scores."""

from torch import nn

from wmx.training.weights import no_last_layer


def last_layer(model: nn.Module, classes: int) -> list[str]:
    """Return the names of the last made layer with a kernel of ``classes`` outputs.

    Raises:
        UsageError: there is none.
    """
    for prefix, module in reversed(list(model.named_modules())):
        own = dict(module.named_parameters(prefix, recurse=False))
        if any(p.ndim > 1 and p.shape[0] == classes for p in own.values()):
            return list(own)
    raise no_last_layer(classes)
