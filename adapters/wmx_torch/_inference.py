"""Querying a PyTorch model on triggers without changing its state."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.nn.parallel import DistributedDataParallel

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.training.batch_structure import ATTENTION_MASK
from wmx.training.model_scores import wrong_scores
from wmx.watermark import Watermark


def plain_module(model: nn.Module) -> nn.Module:
    """Return the module inside ``torch.compile``, DataParallel and DistributedDataParallel.

    The parameters are shared, and the few passes of wmx are not worth a compilation or a
    synchronization.
    """
    *_, plain = _from_outside_in(model)
    return plain


def replicas(model: nn.Module) -> ProcessGroup | None:
    """Return the process group of a DistributedDataParallel model; ``None`` for others."""
    for module in _from_outside_in(model):
        if isinstance(module, DistributedDataParallel):
            group: ProcessGroup = module.process_group
            return group
    return None


def _from_outside_in(model: nn.Module) -> Iterator[nn.Module]:
    while True:
        yield model
        compiled = getattr(model, "_orig_mod", None)
        if isinstance(compiled, nn.Module):
            model = compiled
        elif isinstance(model, nn.DataParallel | DistributedDataParallel):
            model = model.module
        else:
            return


@contextmanager
def evaluation_mode(model: nn.Module, *, for_gradient: bool = False) -> Iterator[None]:
    """Put every layer into evaluation mode, and restore each layer's own mode afterwards.

    So BatchNorm uses its running statistics without updating them, and dropout is off.

    Args:
        model: whose layers to change.
        for_gradient: keep recurrent layers on CUDA in training mode, which cuDNN requires for a
            gradient.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = module.training and for_gradient and _is_cudnn_recurrent(module)
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _is_cudnn_recurrent(module: nn.Module) -> bool:
    return isinstance(module, nn.RNNBase) and any(p.is_cuda for p in module.parameters())


def channels_first(inputs: Tensor, task: Task) -> Tensor:
    """Return images as a view [k, C, H, W]; other inputs unchanged.

    Args:
        inputs: [k, *task.shape], images as [k, H, W, C].
        task: gives the kind of inputs.
    """
    return inputs.permute(0, 3, 1, 2) if task.kind == "image" else inputs


def as_model_input(inputs: NDArray[Any], task: Task, model: nn.Module) -> Tensor:
    """Convert inputs to a tensor in the layout and dtype, and on the device, of a PyTorch model.

    Images become [k, C, H, W] in channels-last memory format, which needs no copy and is the
    fastest for convolutions; floats get the dtype of the model's weights.

    Args:
        inputs: [k, *task.shape], channels last.
        task: gives the kind of inputs.
        model: gives device and dtype.
    """
    weight = _float_weight(model)
    tensor = channels_first(torch.from_numpy(inputs), task)
    if weight is None:
        return tensor
    if tensor.is_floating_point():
        return tensor.to(weight.device, weight.dtype)
    return tensor.to(weight.device)


def triggers_as_model_input(
    watermark: Watermark, places: NDArray[np.int64], model: nn.Module
) -> Tensor:
    """Return triggers [k, ...] as :func:`as_model_input` does.

    Images are copied as bytes and normalized on the model's device, which is faster on a GPU.

    Args:
        watermark: gives the triggers.
        places: indices of the triggers, int64 [k].
        model: gives device and dtype.
    """
    task, triggers = watermark.task, watermark.triggers[places]
    weight = _float_weight(model)
    if task.kind != "image" or weight is None:
        return as_model_input(task.model_input(triggers), task, model)
    levels = torch.from_numpy(task.levels()).to(weight.device)
    pixels = torch.from_numpy(triggers).to(weight.device).int()
    seen = torch.empty(pixels.shape, device=weight.device)
    for channel in range(task.shape[2]):
        seen[..., channel] = levels[:, channel][pixels[..., channel]]
    return channels_first(seen, task).to(weight.dtype)


def _float_weight(model: nn.Module) -> Tensor | None:
    return next((p for p in model.parameters() if p.is_floating_point()), None)


def padding_mask(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Return the ``attention_mask`` argument of a Hugging Face text model; empty for other models.

    It is 1 except at the padding, ``config.pad_token_id``.  The Trainer passes the tokenizer's mask
    with every text; without a mask the model would read the padding as text.

    Args:
        model: to query.
        inputs: token ids [k, L].
    """
    padding = getattr(getattr(model, "config", None), "pad_token_id", None)
    takes_mask = ATTENTION_MASK in inspect.signature(model.forward).parameters
    if padding is None or not takes_mask or inputs.is_floating_point():
        return {}
    return {ATTENTION_MASK: inputs.ne(padding).long()}


def scores_of(output: Any, classes: int) -> Tensor:
    """Extract the logits [k, classes] from the output of a model.

    Args:
        output: a tensor, a tuple that starts with one, or an object or dict with ``logits``.
        classes: their expected number.

    Raises:
        CannotRunError: there are no logits, or they are for another number of classes.
    """
    scores = output
    if isinstance(output, dict) and "logits" in output:
        scores = output["logits"]
    elif hasattr(output, "logits"):
        scores = output.logits
    elif isinstance(output, tuple | list) and output:
        scores = output[0]
    if not isinstance(scores, Tensor):
        raise CannotRunError(
            f"the model returned {type(output).__name__}, expected logits: a tensor, a tuple "
            "that starts with one, or an object with .logits"
        )
    if scores.ndim != 2 or scores.shape[1] != classes:
        raise wrong_scores(scores.shape, classes)
    return scores


def scores(model: nn.Module, inputs: NDArray[Any], task: Task) -> NDArray[Any]:
    """Return a model's logits in evaluation mode, float64 [k, classes]; wrappers are removed.

    Args:
        model: its modes are restored afterwards.
        inputs: [k, *task.shape], normalized, channels last.
        task: gives kind and classes.
    """
    inner = plain_module(model)
    with evaluation_mode(inner), torch.no_grad():
        tensor = as_model_input(inputs, task, inner)
        given = scores_of(inner(tensor, **padding_mask(inner, tensor)), task.classes)
    values: NDArray[Any] = given.cpu().double().numpy()  # not every device has float64
    return values
