"""Querying a model about triggers without leaving a trace on it."""

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
from wmx.watermark import Watermark


def plain_module(model: nn.Module) -> nn.Module:
    """Return the module inside ``torch.compile``, DataParallel and DistributedDataParallel.

    They share their parameters with it, and the few passes wmx makes are not worth a compilation
    or a synchronisation.
    """
    *_, plain = _from_outside_in(model)
    return plain


def replicas(model: nn.Module) -> ProcessGroup | None:
    """Return the processes that hold a replica of ``model`` each, if it is data parallel."""
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
    """Put every layer into evaluation mode, and each back into its own mode afterwards.

    So BatchNorm uses its running statistics and leaves them alone, and dropout is off.  Where a
    gradient is wanted, recurrent layers on CUDA stay as they are: cuDNN refuses it otherwise.
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
    """Return images [k, H, W, C] as [k, C, H, W], moving nothing in memory; others as they are."""
    return inputs.permute(0, 3, 1, 2) if task.kind == "image" else inputs


def as_model_input(inputs: NDArray[Any], task: Task, model: nn.Module) -> Tensor:
    """Return inputs [k, *task.shape], channels last, as a PyTorch model takes them.

    Images become [k, C, H, W] with the channels kept innermost in memory, which costs nothing and
    is the layout in which convolutions run fastest; floats take the dtype of the model's weights.
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

    Images travel as bytes and are normalised where the model is, so that no GPU waits for it.
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
    """Return the ``attention_mask`` that a Hugging Face text model wants beside its ids.

    Ones but for the padding that ``config.pad_token_id`` names.  The Trainer gives the tokenizer's
    mask with every text; a model asked without one would read the padding as text.  Empty for
    other models.
    """
    padding = getattr(getattr(model, "config", None), "pad_token_id", None)
    takes_mask = ATTENTION_MASK in inspect.signature(model.forward).parameters
    if padding is None or not takes_mask or inputs.is_floating_point():
        return {}
    return {ATTENTION_MASK: inputs.ne(padding).long()}


def scores_of(output: Any, classes: int) -> Tensor:
    """Return the logits [k, classes] in what a model returned.

    A tensor, the first of a tuple, ``output.logits`` or ``output["logits"]`` (as Hugging Face
    models give them).

    Raises:
        CannotRunError: there are none, or they are for another number of classes.
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
        raise CannotRunError(
            f"the model returned scores of shape {tuple(scores.shape)}, "
            f"expected [batch, {classes}] as the claim says"
        )
    return scores


def scores(model: nn.Module, inputs: NDArray[Any], task: Task) -> NDArray[Any]:
    """Return the logits [k, classes] of the module inside ``model`` in evaluation mode.

    Args:
        model: its modes are restored afterwards.
        inputs: [k, *task.shape], channels last, as the model sees them.
        task: gives kind and classes.
    """
    inner = plain_module(model)
    with evaluation_mode(inner), torch.no_grad():
        asked = as_model_input(inputs, task, inner)
        given = scores_of(inner(asked, **padding_mask(inner, asked)), task.classes)
    values: NDArray[Any] = given.cpu().double().numpy()  # not every device has float64
    return values
