"""One file after every epoch, from which training goes on as if it had never stopped.

Weights and optimizer state are safetensors, all else is JSON in that file's metadata: one file,
renamed into place, so that the two can never belong to different epochs.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.files import read_bytes, write_bytes

MODEL, OPTIMIZER = "model.", "optimizer."
METADATA_KEY = "wmx"


@dataclass(frozen=True)
class Identity:
    """What a run is a run of; resuming asks for the same.

    Attributes:
        settings: of :meth:`wmx.training.Training.settings`.
        claim: digest of the claim, ``None`` for a run without a watermark.
        data: digest of the data.
    """

    settings: dict[str, Any]
    claim: str | None
    data: str

    def require_same(self, saved: dict[str, Any], path: Path) -> None:
        """Raise :class:`UsageError` naming what differs from a saved run."""
        if saved["claim"] != self.claim:
            raise UsageError(f"{path} is of a run with another claim")
        if saved["data"] != self.data:
            raise UsageError(f"{path} is of a run on other data")
        for name, value in self.settings.items():
            if saved["settings"].get(name) != value:
                raise UsageError(
                    f"{path} is of a run with {name} {saved['settings'].get(name)}, not {value}",
                    hint="resume with the options of the first call",
                )


def save_checkpoint(
    path: Path, identity: Identity, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Replace the checkpoint at ``path`` by the state after ``epoch`` epochs."""
    tensors = {MODEL + name: tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{index}.{name}": tensor for name, tensor in state.items()}
    about = {
        "epoch": epoch,
        "settings": identity.settings,
        "claim": identity.claim,
        "data": identity.data,
    }
    data = save({name: _owned(t) for name, t in tensors.items()}, {METADATA_KEY: json.dumps(about)})
    write_bytes(path, data, force=True)


def load_checkpoint(
    path: Path, identity: Identity, model: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """Bring ``model`` and ``optimizer`` to the saved state; return the number of epochs done.

    Raises:
        IntegrityError: the file is damaged or does not fit the model.
        UsageError: it is of a run with other settings, another claim or other data.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()[METADATA_KEY])
            identity.require_same(about, path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model.load_state_dict(
            {n.removeprefix(MODEL): t for n, t in tensors.items() if n.startswith(MODEL)}
        )
        _load_optimizer(optimizer, tensors)
        return int(about["epoch"])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise IntegrityError(f"{path} is not a checkpoint of this run: {error}") from None


def save_weights(path: Path, model: nn.Module, *, force: bool = False) -> None:
    """Write the state dict as safetensors."""
    state = {name: _owned(tensor) for name, tensor in model.state_dict().items()}
    write_bytes(path, save(state), force=force)


def load_pretrained(path: Path, model: nn.Module) -> None:
    """Load weights from a safetensors file or a PyTorch state dict, never from other pickles.

    Raises:
        CannotRunError: the file cannot be read, or is neither.
        UsageError: its tensors are not those of the model.
    """
    data = read_bytes(path, "pretrained weights")
    state = _read_state(path, data)
    own = model.state_dict()
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unexpected:
        raise UsageError(
            f"{path} does not fit the model: missing {_names(missing)}; "
            f"unexpected {_names(unexpected)}",
            hint="the weights must be those of --model with the data's number of classes",
        )
    for name, tensor in own.items():
        if state[name].shape != tensor.shape:
            raise UsageError(
                f"{path}: {name} has shape {tuple(state[name].shape)}, "
                f"the model's has {tuple(tensor.shape)}"
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


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, tensor in tensors.items():
        if key.startswith(OPTIMIZER):
            index, _, name = key.removeprefix(OPTIMIZER).partition(".")
            parameter = parameters[int(index)]
            optimizer.state[parameter][name] = _laid_out_like(parameter, tensor)


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Return state in the memory format of its parameter: only then is the rounding the same."""
    if tensor.shape != parameter.shape:  # a step count
        return tensor
    return torch.empty_like(parameter).copy_(tensor)


def _owned(tensor: Tensor) -> Tensor:
    """Return a copy that shares no memory: safetensors refuses tied weights."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _names(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most]) or "nothing"
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
