"""Checkpoints: one file per run, replaced after every epoch, from which training resumes exactly.

Weights and optimizer state are safetensors, everything else is JSON in that file's metadata.  It is
one file, renamed into place, so that the two can never belong to different epochs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from wmx._internal.files import open_regular
from wmx._internal.writing import SECRET_MODE, write_bytes
from wmx.errors import IntegrityError, UsageError
from wmx.training.data.dataset import LabeledData

METADATA_KEY = "wmx"
_DAMAGED = (SafetensorError, KeyError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True)
class Identity:
    """What identifies a training run; a run resumes only if all of it is equal.

    Attributes:
        framework: of the adapter that trains.
        settings: from :meth:`wmx.training.config.Training.settings`.
        claim: digest of the claim, ``None`` for a run without a watermark.
        data: digest of the data.
    """

    framework: str
    settings: dict[str, Any]
    claim: str | None
    data: str

    def require_same(self, saved: "Identity", path: Path) -> None:
        """Check that a checkpoint belongs to this run.

        Args:
            saved: read from the checkpoint.
            path: of the checkpoint, for errors.

        Raises:
            UsageError: names what differs.
        """
        if saved.framework != self.framework:
            raise UsageError(
                f"{path} is from a run in {saved.framework}, not {self.framework}",
                hint="resume with the options of the first call",
            )
        if saved.claim != self.claim:
            raise UsageError(f"{path} is from a run with another claim")
        if saved.data != self.data:
            raise UsageError(f"{path} is from a run on other data")
        for name, value in self.settings.items():
            if saved.settings.get(name) != value:
                raise UsageError(
                    f"{path} is from a run with {name} {saved.settings.get(name)}, not {value}",
                    hint="resume with the options of the first call",
                )


def save_checkpoint(
    path: Path, identity: Identity, epoch: int, state: Mapping[str, NDArray[Any]]
) -> None:
    """Write a checkpoint in place of the previous one.

    Args:
        path: of the checkpoint.
        identity: of the run.
        epoch: number of epochs done.
        state: from :meth:`wmx.training.adapter.Learner.state`.
    """
    about = {
        "epoch": epoch,
        "framework": identity.framework,
        "settings": identity.settings,
        "claim": identity.claim,
        "data": identity.data,
    }
    arrays = {name: np.array(array, order="C") for name, array in state.items()}
    write_bytes(path, save(arrays, {METADATA_KEY: json.dumps(about)}), mode=SECRET_MODE, force=True)


def load_checkpoint(path: Path, identity: Identity) -> tuple[int, dict[str, NDArray[Any]]]:
    """Return the number of epochs done and the state after them.

    Args:
        path: of the checkpoint.
        identity: of the run that resumes.

    Raises:
        CannotRunError: there is no such file.
        IntegrityError: the file is damaged.
        UsageError: it is from a run with other settings, another claim or other data.
    """
    open_regular(path, "checkpoint").close()
    try:
        with safe_open(path, framework="numpy") as file:
            epoch, saved = _read(file)
            identity.require_same(saved, path)
            return epoch, {
                name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118
            }
    except _DAMAGED as error:
        raise IntegrityError(f"{path} is not a checkpoint of this run: {error}") from None


def load_identity(path: Path) -> Identity:
    """Return the identity of the run that wrote a checkpoint.

    Raises:
        CannotRunError: there is no such file.
        IntegrityError: it is damaged.
    """
    open_regular(path, "checkpoint").close()
    try:
        with safe_open(path, framework="numpy") as file:
            return _read(file)[1]
    except _DAMAGED as error:
        raise IntegrityError(f"{path} is not a checkpoint of wmx embed: {error}") from None


def _read(file: Any) -> tuple[int, Identity]:
    """Return the number of epochs done and the identity stored in an opened checkpoint.

    Raises:
        KeyError, TypeError, ValueError, RecursionError: the metadata are malformed.
    """
    about = json.loads(file.metadata()[METADATA_KEY])
    epoch, settings = about["epoch"], about["settings"]
    if type(epoch) is not int or epoch < 1:
        raise ValueError(f"its epoch is {epoch!r}")
    if not isinstance(settings, dict) or not isinstance(settings["model"], str):
        raise TypeError("its settings are not those of a run")
    texts = (about["framework"], about["data"], about["claim"] or "")
    if any(not isinstance(text, str) for text in texts):
        raise TypeError("its framework, data or claim is not a string")
    return epoch, Identity(about["framework"], settings, about["claim"], about["data"])


def data_digest(data: LabeledData) -> str:
    """Return the SHA-256 of training and test set."""
    digest = hashlib.sha256()
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
