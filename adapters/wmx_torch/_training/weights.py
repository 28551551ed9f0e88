"""Weights in files: written as safetensors and read from them alone."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from wmx._internal.files import SECRET_MODE, read_bytes, write_bytes
from wmx.errors import CannotRunError
from wmx.training.weights import require_fit

# tensors that share memory are written apart
CONVERSION = (
    "python -c 'import sys, torch, safetensors.torch as s; s.save_file({n: t.clone() for n, t in "
    "torch.load(sys.argv[1], weights_only=True).items()}, sys.argv[2])' model.pt model.safetensors"
)


def save_weights(path: Path, model: nn.Module, *, force: bool = False) -> None:
    """Write the state dict as safetensors."""
    state = {name: _owned(tensor) for name, tensor in model.state_dict().items()}
    write_bytes(path, save(state), mode=SECRET_MODE, force=force)


def load_pretrained(path: Path, model: nn.Module) -> None:
    """Load weights from a safetensors file.

    What ``torch.save`` writes is a pickle, and even with ``weights_only`` PyTorch interprets it,
    in a process that holds the owner key; so it is left to its owner to convert it.

    Raises:
        CannotRunError: the file cannot be read, or is no safetensors file.
        UsageError: its tensors are not those of the model.
    """
    try:
        state = load(read_bytes(path, "pretrained weights"))
    except (SafetensorError, KeyError, ValueError) as error:  # a KeyError names an unknown dtype
        raise CannotRunError(
            f"{path} is no safetensors file, or a damaged one: {error}",
            hint=f"a state dict of PyTorch is converted with: {CONVERSION}",
        ) from None
    require_fit(
        path,
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
    )
    model.load_state_dict(state)


def _owned(tensor: Tensor) -> Tensor:
    """Return a copy that shares no memory: safetensors refuses tied weights."""
    return tensor.detach().to("cpu", copy=True).contiguous()
