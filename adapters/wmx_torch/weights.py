"""Weights in files: written as safetensors, read from them or from a PyTorch state dict."""

import io
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from wmx.errors import CannotRunError
from wmx.files import SECRET_MODE, read_bytes, write_bytes
from wmx.weight_files import require_fit


def save_weights(path: Path, model: nn.Module, *, force: bool = False) -> None:
    """Write the state dict as safetensors."""
    state = {name: _owned(tensor) for name, tensor in model.state_dict().items()}
    write_bytes(path, save(state), mode=SECRET_MODE, force=force)


def load_pretrained(path: Path, model: nn.Module) -> None:
    """Load weights from a safetensors file or a PyTorch state dict, never from other pickles.

    Raises:
        CannotRunError: the file cannot be read, or is neither.
        UsageError: its tensors are not those of the model.
    """
    data = read_bytes(path, "pretrained weights")
    state = _read_state(path, data)
    require_fit(
        path,
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
    )
    model.load_state_dict(state)


def _read_state(path: Path, data: bytes) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return load(data)
        except SafetensorError as error:
            raise CannotRunError(f"{path} is a damaged safetensors file: {error}") from None
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler refuses in many ways
        first_line = str(error).strip().partition("\n")[0]
        raise CannotRunError(
            f"cannot read {path} as a PyTorch state dict: {first_line}",
            hint="only plain tensors are loaded: torch.save(model.state_dict(), path)",
        ) from None
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise CannotRunError(
            f"{path} is not a state dict of tensors",
            hint="save it with torch.save(model.state_dict(), path)",
        )
    return state


def _owned(tensor: Tensor) -> Tensor:
    """Return a copy that shares no memory: safetensors refuses tied weights."""
    return tensor.detach().to("cpu", copy=True).contiguous()
