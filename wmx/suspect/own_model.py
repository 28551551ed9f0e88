"""A trusted ONNX model of the user, read and loaded in this process.

An untrusted model is handed to a process of its own unread: see :mod:`wmx.suspect.remote`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wmx.suspect import session as runtime
from wmx.suspect.policy.external_data import parts_of
from wmx.suspect.policy.model_files import ModelFiles, require_one_file
from wmx.suspect.policy.onnx_rules import Outline
from wmx.suspect.policy.rules import looked_through
from wmx.suspect.types import Device


@dataclass(frozen=True)
class OwnModel:
    """A trusted model in memory.

    Attributes:
        files: that it was read from.
        data: content of the ONNX file.
        outline: its name and the files that it needs.
        weights: content of the files beside it, by name.
    """

    files: ModelFiles
    data: bytes
    outline: Outline
    weights: dict[str, memoryview]

    @classmethod
    def read(cls, path: str | Path, weights: Iterable[str | Path] = ()) -> Self:
        """Read a model.

        Args:
            path: the ONNX file.
            weights: files beside it that hold its weights under names that exporters do not give.

        Raises:
            CannotRunError: a file cannot be read, or the model is damaged.
        """
        files = ModelFiles(path, weights)
        data = b"".join(files.model().pieces())
        outline = looked_through(data, files.name)
        sizes, contents = files.weights(outline.files)
        joined = memoryview(b"".join(contents.pieces()))
        return cls(files, data, outline, parts_of(joined, outline.files, sizes))

    def in_one(self, purpose: str) -> bytes:
        """Return the content of a model that is a single file.

        Args:
            purpose: what needs a single file; the subject of the error message.

        Raises:
            CannotRunError: the model has weights in other files.
        """
        require_one_file(self.files.name, self.weights, purpose)
        return self.data

    def loaded(self, device: Device = "cpu") -> runtime.Session:
        """Load the model in this process.  Raises as :func:`wmx.suspect.session.load`."""
        return runtime.load(self.data, self.outline, device, external=self.weights)


def loaded_from(data: bytes, name: str) -> runtime.Session:
    """Load a single-file model from memory, on the CPU.

    Args:
        data: an ONNX file that keeps nothing elsewhere.
        name: of the model, for error messages.

    Raises:
        CannotRunError: it is refused, or cannot be loaded.
    """
    return runtime.load(data, looked_through(data, name), "cpu")
