"""Decides which files beside an untrusted model may be read as its weights, and which never.

The model names them and is untrusted; so the accepted names are those that exporters derive from
the model's own, and those that the user gives.  The content is checked as well, since the model's
name, and in an unpacked archive all names, may be chosen by an attacker.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from wmx._internal.budget import consulted
from wmx._internal.text import is_file_name, printable
from wmx.errors import CannotRunError, UsageError
from wmx.suspect.policy.external_data import ONE_FILE_HINT
from wmx.suspect.policy.secrets import kind_of_secret
from wmx.suspect.policy.streamed_file import Identity, StreamedFile

PART = re.compile(r"-[0-9]{5}-of-[0-9]{5}(?=\.)")
MAX_EXTERNAL_BYTES = 2**32  # of all files of weights of a model together
HOSTILE_HINT = (
    "no honest model names it: treat this one as hostile, and keep it in a folder of its own"
)
Paths: TypeAlias = Callable[[], Iterable[str | Path]]


def is_exporters_name(name: str, model: str) -> bool:
    """Return whether a file has a name that exporters give to the weights of a model.

    For ``model.onnx``: ``model.onnx.data`` (PyTorch, onnxruntime, jax2onnx, onnxslim),
    ``model.onnx_data`` and ``model.onnx_data_1`` (Optimum, Neural Compressor, Transformers.js),
    ``model.data``, ``model_ext.data`` (onnxruntime's exporter of large models), ``model.bin`` and
    ``model.weights``; and the parts of each: ``model-00001-of-00003.onnx.data`` (onnx_ir).

    Args:
        name: of the file.
        model: name of the ONNX file.
    """
    own, stem = re.escape(model), re.escape(os.path.splitext(model)[0])
    known = rf"(?:{own}|{stem})\.(?:data|bin|weights)|{own}_data(?:_[0-9]{{1,4}})?|{stem}_ext\.data"
    return re.fullmatch(known, PART.sub("", name, count=1)) is not None


def beside(model: str | Path, files: Iterable[str | Path]) -> list[str | Path]:
    """Return those of the files that lie in the folder of a model.

    Args:
        model: path of the ONNX file.
        files: paths.
    """
    folder = os.path.dirname(os.path.abspath(model))
    return [file for file in files if _is_in(file, folder)]


class ExternalFiles:
    """The files in a model's folder that may hold its weights.

    Attributes:
        size: of all of them in bytes, whether the model needs them or not.
    """

    def __init__(
        self,
        model: str | Path,
        given: Iterable[str | Path] = (),
        apart_from: Paths = tuple,
    ) -> None:
        """List the candidate files without opening them.

        Args:
            model: path of the ONNX file.
            given: files beside it that the user says are its weights.
            apart_from: returns files, and folders with their contents, that are never read as
                weights, by whatever name they are reached; called only if the model has other
                files.

        Raises:
            UsageError: a file that was given lies elsewhere.
            CannotRunError: it is not there.
        """
        self._model = str(model)
        self._folder, self._own = os.path.split(os.path.abspath(model))
        self._apart_from = apart_from
        self._sizes = dict(self._written_by_exporters())
        for path in given:
            name = self._named(path)
            self._sizes[name] = _size(path)
        self.size = min(sum(self._sizes.values()), MAX_EXTERNAL_BYTES)

    def found(self, names: Iterable[str]) -> dict[str, StreamedFile]:
        """Return the files of these names, which the untrusted model gives.

        Raises:
            CannotRunError: one may not be read, is not there, is a link or no file of weights, or
                all are too large together.
        """
        never = set(_identities(self._apart_from()))
        files = {name: self._found(name, never) for name in consulted(names)}
        if sum(file.size for file in files.values()) > MAX_EXTERNAL_BYTES:
            raise CannotRunError(
                f"the files of weights of {self._model} have more than {MAX_EXTERNAL_BYTES:,} bytes"
            )
        return files

    def _found(self, name: str, never: set[Identity]) -> StreamedFile:
        shown = repr(printable(name, 80))
        if name == self._own:
            raise CannotRunError(f"{self._model} says that its weights lie in itself")
        if not is_file_name(name) or name.startswith("."):
            raise CannotRunError(
                f"{self._model} says that its weights lie in {shown}, which is hidden or no file "
                "beside it",
                HOSTILE_HINT,
            )
        if name not in self._sizes and not is_exporters_name(name, self._own):
            raise CannotRunError(
                f"{self._model} says that its weights lie in {shown}; expected a name that "
                f"exporters make from its own, such as {self._own}.data",
                f"if that is right, add --weights {printable(name, 80)}; or {ONE_FILE_HINT}",
            )

        def check(identity: Identity, head: bytes) -> None:
            self._require_weights(name, identity, head, never)

        path = os.path.join(self._folder, name)
        return StreamedFile(path, "file of weights", linked=False, check=check)

    def _require_weights(
        self, name: str, identity: Identity, head: bytes, never: set[Identity]
    ) -> None:
        if identity in never:
            raise CannotRunError(
                f"{self._model} says that its weights lie in {name}, which is a file that this "
                "command reads as something else, or one of your store",
                HOSTILE_HINT,
            )
        kind = kind_of_secret(head)
        if kind is not None:
            raise CannotRunError(
                f"{self._model} says that its weights lie in {name}, and that is {kind}; expected "
                "raw numbers",
                f"{HOSTILE_HINT}; if it is your own, {ONE_FILE_HINT}",
            )

    def _written_by_exporters(self) -> Iterator[tuple[str, int]]:
        stem = os.path.splitext(self._own)[0]
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in consulted(entries):
                if entry.name.startswith(stem) and is_exporters_name(entry.name, self._own):
                    yield entry.name, entry.stat(follow_symlinks=False).st_size

    def _named(self, path: str | Path) -> str:
        """Return the name in the model's folder of a file that the user has named."""
        if not _is_in(path, self._folder):
            raise UsageError(
                f"the file of weights {path} lies elsewhere than {self._model}",
                hint="put it beside the model, under the name that the model has for it",
            )
        return os.path.basename(os.path.abspath(path))


def _is_in(path: str | Path, folder: str) -> bool:
    own = os.path.dirname(os.path.abspath(path))
    return os.path.isdir(own) and os.path.samefile(own, folder)


def _size(path: str | Path) -> int:
    try:
        return os.lstat(path).st_size
    except (OSError, ValueError):
        raise CannotRunError(
            f"no such file: {path}", hint="expected the file of weights there"
        ) from None


def _identities(paths: Iterable[str | Path]) -> Iterator[Identity]:
    """Yield device and inode of files, and of all files in folders."""
    for path in paths:
        with suppress(OSError, ValueError):  # it is not there
            found = os.stat(path)
            yield found.st_dev, found.st_ino
            for folder, _, names in os.walk(path):
                yield from _identities(os.path.join(folder, name) for name in names)
