"""Suspects: anything that answers inputs with scores.  A suspect is hostile until shown otherwise.

A suspect offers its :meth:`~Suspect.feedings` for a task and, fed in one of them, its
:meth:`~Suspect.answers`: arrays in, scores out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from wmx.answers import Answers
from wmx.suspect.device import Device
from wmx.suspect.feeding import Feeding
from wmx.task import Task

Predict: TypeAlias = Callable[[NDArray[Any]], Any]


class Suspect(Protocol):
    """Anything that can be asked.

    Attributes:
        name: what reports and errors call it.
        sha256: of its file, hexadecimal; ``None`` where there is none.
        engine: what runs it, with its version.
    """

    name: str
    sha256: str | None
    engine: str

    def feedings(self, task: Task) -> list[Feeding]:
        """Return every way of feeding it inputs of ``task``; at least one.

        Raises:
            CannotRunError: none fits.
        """

    def answers(self, feeding: Feeding, inputs: NDArray[Any], task: Task) -> dict[str, Answers]:
        """Return the answers of each classifier-like output to inputs [n, *task.shape].

        Raises:
            CannotRunError: it fails on the inputs, or no output looks like a classifier's.
        """


def open_suspect(suspect: str | Path | Predict, device: Device = "auto") -> Suspect:
    """Open an ONNX file, or wrap a callable ``inputs -> scores``.

    Args:
        suspect: path of an ONNX file; or a function that takes float32 [n, *task.shape], channels
            last and normalised, and returns scores [n, C] or class numbers [n].
        device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``; for files only.

    Raises:
        CannotRunError: the file cannot be read or loaded.
    """
    if callable(suspect):
        from wmx.suspect.function import FunctionSuspect

        return FunctionSuspect(suspect)
    from wmx.suspect.onnx_file import OnnxFile

    return OnnxFile(suspect, device)
