"""Which model is meant: its name, and the digests of its files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from wmx._internal.text import is_file_name
from wmx.errors import UsageError
from wmx.protocol import jcs


@dataclass(frozen=True)
class ModelReference:
    """Which model is meant: its name, and the digests of its files.

    One graph may be exported with different weights beside it, so that only the digests of all
    files together identify a model.  Names do not: files are renamed and copied.

    >>> from wmx.suspect import ModelReference
    >>> model = ModelReference("model.onnx", "ab" * 32, {"model.onnx.data": "cd" * 32})
    >>> model.has_same_files(ModelReference("copy.onnx", model.sha256, model.external))
    True
    >>> model.has_same_files(ModelReference("model.onnx", model.sha256))
    False

    Attributes:
        name: path or name of its ONNX file; an address, or the name of a function.
        sha256: SHA-256 of the ONNX file, hexadecimal; ``None`` where there is no file.
        external: SHA-256 of the files beside it that hold its weights, hexadecimal, by name.
    """

    name: str
    sha256: str | None = None
    external: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """One digest, hexadecimal, for all files of the model, whatever its ONNX file is called."""
        files = {"external": dict(self.external), "sha256": self.sha256}
        return hashlib.sha256(jcs.dumps(files)).hexdigest()

    @property
    def without_folder(self) -> Self:
        """The same model, with the folder left out of its file's path."""
        return self if self.sha256 is None else replace(self, name=Path(self.name).name)

    def has_same_files(self, other: "ModelReference") -> bool:
        """Return whether two models are the same files, whatever their ONNX files are called.

        What has no file is the same as nothing: it may predict otherwise tomorrow.
        """
        mine, others = ((one.sha256, one.external) for one in (self, other))
        return self.sha256 is not None and mine == others

    def for_statement(self, kind: str) -> Self:
        """Return the model as a signed statement names it: without the folder.

        Args:
            kind: of statement, for errors: ``"an evidence file"``.

        Raises:
            UsageError: the name cannot stand there, since readers would refuse it.
        """
        stated = self.without_folder
        if not is_file_name(stated.name):
            raise UsageError(
                f"the name of {self.name} cannot stand in {kind}",
                hint="rename the file: printable characters, no slashes, at most 255 characters",
            )
        return stated
