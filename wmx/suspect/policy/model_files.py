"""The files of a model on disk: its ONNX file, and the files beside it with its weights."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from wmx.errors import CannotRunError
from wmx.protocol.model_reference import ModelReference
from wmx.suspect.policy.external_data import ONE_FILE_HINT
from wmx.suspect.policy.external_files import ExternalFiles, Paths
from wmx.suspect.policy.streamed_file import StreamedFile
from wmx.suspect.sandbox.wire import Streamed

MAX_MODEL_BYTES = 2**31  # protobuf's own limit


class ModelFiles:
    """A model's files, to be read once; they are not parsed here.

    Attributes:
        name: the path of the ONNX file.
        size: in bytes, of it and all files that may hold its weights.
    """

    def __init__(
        self,
        path: str | Path,
        weights: Iterable[str | Path] = (),
        apart_from: Paths = tuple,
    ) -> None:
        """Find a model's files.

        Args:
            path: the ONNX file.
            weights, apart_from: as in :class:`~wmx.suspect.policy.external_files.ExternalFiles`.

        Raises:
            CannotRunError: the file cannot be read, or is too large.
            UsageError: weights were given that lie elsewhere.
        """
        self.name = str(path)
        self._external_files = ExternalFiles(path, weights, apart_from)
        self._model = StreamedFile(path, "model", MAX_MODEL_BYTES)
        self._weights: dict[str, StreamedFile] = {}
        self.size = self._model.size + self._external_files.size

    @property
    def reference(self) -> ModelReference:
        """The path and the digests of the files; known once they were read."""
        external = {name: file.sha256 for name, file in sorted(self._weights.items())}
        return ModelReference(self.name, self._model.sha256, external)

    def model(self) -> Streamed:
        """Return the content of the ONNX file, to be streamed once."""
        return Streamed(self._model.size, self._model.pieces)

    def weights(self, names: Iterable[str]) -> tuple[list[int], Streamed]:
        """Return the sizes of files beside the model, and their contents one after the other.

        Raises:
            CannotRunError: one is not to be read as weights.
        """
        self._weights = self._external_files.found(names)
        files = list(self._weights.values())
        sizes = [file.size for file in files]

        def pieces() -> Iterator[bytes]:
            for file in files:
                yield from file.pieces()

        return sizes, Streamed(sum(sizes), pieces)


def require_one_file(name: str, external: Iterable[str], purpose: str) -> None:
    """Refuse a model that keeps weights in other files.

    Args:
        name: of the model, for error messages.
        external: names of its other files.
        purpose: what needs a single file; the subject of the error message.

    Raises:
        CannotRunError: the model has other files.
    """
    files = ", ".join(sorted(external))
    if files:
        raise CannotRunError(
            f"{purpose} needs a model in one file, and {name} keeps weights in {files}",
            hint=ONE_FILE_HINT,
        )
