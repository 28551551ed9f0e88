"""ONNX external data: parsing where tensors keep their data in a file beside the model.

Exporters store the weights of large models so, and some those of all.  The keys are those of ONNX's
``docs/ExternalData.md``; only files beside the model with plain names are accepted.
:mod:`wmx.suspect.policy.external_files` decides which of those names.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wmx._internal.text import is_file_name, printable
from wmx.errors import CannotRunError

MEMORY_MARKER = "_ORT_MEM_ADDR_"  # onnxruntime's name for "at this address of the process"
MAX_DIGITS = 18
MAX_EXTERNAL_FILES = 1000  # of a model
ONE_FILE_HINT = "save it as one file, e.g. onnx.save(onnx.load(path), 'one-file.onnx')"


@dataclass(frozen=True)
class Refused(Exception):
    """Why a model is refused: the predicate of the error message, and its hint."""

    what: str
    hint: str

    def about(self, name: str) -> CannotRunError:
        """Return the error for the file ``name``."""
        return CannotRunError(f"{name} {self.what}", hint=self.hint)


@dataclass(frozen=True)
class External:
    """Where the data of a tensor lie.

    Attributes:
        file: a plain file name.
        offset: of the first byte.
        length: in bytes; up to the end of the file if ``None``.
    """

    file: str
    offset: int
    length: int | None

    @classmethod
    def of(cls, entries: Iterable[tuple[str, str]], tensor: str) -> "External":
        """Parse the external-data entries of a tensor.

        Args:
            entries: keys and values.
            tensor: its name in error messages.

        Raises:
            Refused: a key occurs twice, a number is malformed, or the file is not beside the model.
        """
        keyed: dict[str, str] = {}
        for key, value in entries:
            if key in keyed:
                raise Refused(f"has a tensor {tensor} with two places of its data", ONE_FILE_HINT)
            keyed[key] = value
        location = keyed.get("location", "")
        _require_beside(tensor, location)
        length = _number(keyed["length"], tensor) if "length" in keyed else None
        return cls(location, _number(keyed.get("offset", "0"), tensor), length)

    def bytes_in(self, file_bytes: int, tensor: str) -> int:
        """Return how many bytes of the file belong to the tensor.

        Args:
            file_bytes: size of the file.
            tensor: its name in error messages.

        Raises:
            Refused: the file is shorter.
        """
        length = file_bytes - self.offset if self.length is None else self.length
        if length < 0 or self.offset + length > file_bytes:
            raise Refused(
                f"has a tensor {tensor} beyond the end of {printable(self.file, 80)}, "
                f"which has {file_bytes:,} bytes",
                "are both files of the same export? copy them again, together",
            )
        return length


def parts_of(
    joined: memoryview, names: Sequence[str], sizes: Sequence[int]
) -> dict[str, memoryview]:
    """Split the joined contents of files into one view for each, by name.

    Args:
        joined: the contents one after the other.
        names: of the files.
        sizes: in bytes, in the same order.
    """
    ends = itertools.accumulate(sizes)
    parts = itertools.pairwise([0, *ends])
    return {name: joined[start:end] for name, (start, end) in zip(names, parts, strict=True)}


def _number(text: str, tensor: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise Refused(
            f"has a tensor {tensor} at a place that is no number: {printable(text, 40)!r}",
            ONE_FILE_HINT,
        )
    return int(text)


def _require_beside(tensor: str, location: str) -> None:
    """Refuse every place but a file in the model's own folder."""
    shown = repr(printable(location, 80))
    steps = location.replace("\\", "/").split("/")
    if MEMORY_MARKER in location:
        raise Refused(
            f"has a tensor {tensor} at an address in memory ({shown}), which no honest file has",
            "treat it as hostile",
        )
    if location.startswith(("/", "\\")) or location[1:2] == ":" or ".." in steps:
        raise Refused(
            f"has a tensor {tensor} in a file outside its folder ({shown})", "treat it as hostile"
        )
    if not is_file_name(location):
        raise Refused(
            f"keeps its weights in a place that is no file beside it ({shown})", ONE_FILE_HINT
        )
