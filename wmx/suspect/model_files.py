"""A model as it lies on the disk: its ONNX file, and the files beside it that hold its weights."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wmx.errors import CannotRunError
from wmx.files import open_regular, read_bytes
from wmx.suspect.container import ORT_IDENTIFIER
from wmx.suspect.external_data import ONE_FILE_HINT
from wmx.suspect.onnx_rules import external_files

MAX_MODEL_BYTES = 2**31  # protobuf's own limit
MAX_EXTERNAL_BYTES = 2**32  # all of them together


@dataclass(frozen=True)
class ModelFiles:
    """A model's files, read once: what is hashed is what is run.

    Attributes:
        name: the path of the ONNX file.
        data: its content.
        external: of the files beside it that hold its weights, by name.
    """

    name: str
    data: bytes
    external: Mapping[str, bytes]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a model.

        Raises:
            CannotRunError: a file cannot be read, is a link or too large, or the model is damaged
                or says that its weights lie elsewhere than beside it.
        """
        data = read_bytes(path, "model", MAX_MODEL_BYTES)
        folder, own = os.path.split(os.path.abspath(path))
        external: dict[str, bytes] = {}
        left = MAX_EXTERNAL_BYTES
        if data[4:8] == ORT_IDENTIFIER:
            from wmx.suspect.ort_rules import require_harmless_ort

            require_harmless_ort(data, str(path))
            return cls(str(path), data, {})
        for name in external_files(data, str(path)):
            if name == own:
                raise CannotRunError(f"{path} says that its weights lie in itself")
            external[name] = _read_weights(os.path.join(folder, name), left)
            left -= len(external[name])
        return cls(str(path), data, external)

    @property
    def sha256(self) -> str:
        """Of the ONNX file, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def external_sha256(self) -> dict[str, str]:
        """Of the files beside it, hexadecimal, by name."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.external.items()}

    @property
    def size(self) -> int:
        """Of all files together, in bytes."""
        return len(self.data) + sum(map(len, self.external.values()))

    def in_one(self, purpose: str) -> bytes:
        """Return the ONNX file of a model that has no other.

        Raises:
            CannotRunError: it has; ``purpose`` says what cannot be done.
        """
        if self.external:
            raise CannotRunError(
                f"{purpose} needs a model in one file, and {self.name} keeps weights in "
                f"{', '.join(sorted(self.external))}",
                hint=ONE_FILE_HINT,
            )
        return self.data


def _read_weights(path: str, limit: int) -> bytes:
    """Read a file that a stranger's model names: never through a link, whose end could be any."""
    with open_regular(path, "file of weights", linked=False) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CannotRunError(f"the files of weights have more than {MAX_EXTERNAL_BYTES:,} bytes")
    return data
