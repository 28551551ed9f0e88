"""Converting weights and optimizer state to and from NumPy arrays, for checkpoints."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

MODEL, OPTIMIZER = "model.", "optimizer."


def state_arrays(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, NDArray[Any]]:
    """Return copies of all weights, buffers and optimizer state; bfloat16 as bits in int16.

    Args:
        model: the network.
        optimizer: over its parameters.
    """
    tensors = {MODEL + name: tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{index}.{name}": tensor for name, tensor in state.items()}
    return {name: _array(tensor) for name, tensor in tensors.items()}


def load_state(
    arrays: dict[str, NDArray[Any]], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Load a state into a model and its optimizer.

    Args:
        arrays: what :func:`state_arrays` returned.
        model: to change.
        optimizer: to change.
    """
    own = model.state_dict()
    model.load_state_dict(
        {
            name.removeprefix(MODEL): _tensor(array, own.get(name.removeprefix(MODEL)))
            for name, array in arrays.items()
            if name.startswith(MODEL)
        }
    )
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, array in arrays.items():
        if key.startswith(OPTIMIZER):
            index, _, name = key.removeprefix(OPTIMIZER).partition(".")
            parameter = parameters[int(index)]
            optimizer.state[parameter][name] = _laid_out_like(parameter, _tensor(array, parameter))


def _array(tensor: Tensor) -> NDArray[Any]:
    tensor = tensor.detach().to("cpu", copy=True).contiguous()
    if tensor.dtype == torch.bfloat16:  # NumPy has none
        tensor = tensor.view(torch.int16)
    return tensor.numpy()


def _tensor(array: NDArray[Any], like: Tensor | None) -> Tensor:
    tensor = torch.from_numpy(array.copy())
    if like is not None and like.dtype == torch.bfloat16 and tensor.dtype == torch.int16:
        return tensor.view(torch.bfloat16)
    return tensor


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Return state in the memory format of its parameter, which keeps rounding reproducible."""
    if tensor.shape != parameter.shape:  # a step count
        return tensor
    return torch.empty_like(parameter).copy_(tensor)
