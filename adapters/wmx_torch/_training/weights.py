"""Saving weights as safetensors, and loading them; no other format is read."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from wmx._internal.files import read_bytes
from wmx._internal.writing import SECRET_MODE, write_bytes
from wmx.errors import CannotRunError
from wmx.training.weights import require_fit

# clone(): safetensors refuses tensors that share memory
CONVERSION = (
    "python -c 'import sys, torch, safetensors.torch as s; s.save_file({n: t.clone() for n, t in "
    "torch.load(sys.argv[1], weights_only=True).items()}, sys.argv[2])' model.pt model.safetensors"
)


def save_weights(path: Path, model: nn.Module, *, force: bool = False) -> None:
    """Write a model's state dict as safetensors.

    Args:
        path: of the file, which only its owner may read.
        model: the network.
        force: replace an existing file.
    """
    state = {name: _owned(tensor) for name, tensor in model.state_dict().items()}
    write_bytes(path, save(state), mode=SECRET_MODE, force=force)


def load_pretrained(path: Path, model: nn.Module) -> None:
    """Load pretrained weights from a safetensors file into a model.

    Files of ``torch.save`` are pickles, which PyTorch interprets even with ``weights_only``, and
    this process holds the owner key.  So users convert such files themselves.

    Args:
        path: of the file.
        model: to change.

    Raises:
        CannotRunError: the file cannot be read, or is not a safetensors file.
        UsageError: its tensors are not those of the model.
    """
    try:
        state = load(read_bytes(path, "pretrained weights"))
    except (SafetensorError, KeyError, ValueError) as error:  # a KeyError names an unknown dtype
        raise CannotRunError(
            f"{path} is not a safetensors file, or is damaged: {error}",
            hint=f"convert a PyTorch state dict with: {CONVERSION}",
        ) from None
    require_fit(
        path,
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
    )
    model.load_state_dict(state)


def _owned(tensor: Tensor) -> Tensor:
    """Return a copy that shares no memory, since safetensors refuses tied weights."""
    return tensor.detach().to("cpu", copy=True).contiguous()
