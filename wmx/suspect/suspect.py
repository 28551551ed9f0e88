"""Suspects: anything that answers inputs with scores.  A suspect is hostile until shown otherwise.

A suspect offers its :meth:`~Suspect.feedings` for a task and, fed in one of them, its
:meth:`~Suspect.predictions`: arrays in, scores out.
"""

from __future__ import annotations  # the child imports this package: nothing that it can do without

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from wmx._internal.budget import held, held_to
from wmx.suspect.sandbox.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wmx.protocol.task import Task
    from wmx.statistics.predictions import Predictions
    from wmx.suspect.endpoint.client import RequestPolicy
    from wmx.suspect.inputs import Feeding
    from wmx.suspect.overrides import Overrides
    from wmx.suspect.sandbox.process import Sandbox
    from wmx.suspect.types import Device

# from 1.31 on onnxruntime reports the machine it is imported on to its makers, in every process
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Predict: TypeAlias = "Callable[[NDArray[Any]], Any]"


@runtime_checkable
class Suspect(Protocol):
    """Anything that can be asked.

    Attributes:
        name: what reports and errors call it.
        sha256: of its file, hexadecimal; ``None`` where there is none.
        external: SHA-256 of the files beside it that hold its weights, by name.
        engine: what runs it, with its version.
        overrides: what somebody has said about its inputs and outputs; his choice has a price.
        queries_left: how many inputs it may still be asked; ``None`` where they cost nothing.
    """

    name: str
    sha256: str | None
    external: Mapping[str, str]
    engine: str
    overrides: Overrides

    @property
    def queries_left(self) -> int | None:
        """See above."""

    def feedings(self, task: Task) -> list[Feeding]:
        """Return every way of feeding it inputs of ``task``; at least one.

        Raises:
            CannotRunError: none fits.
        """

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Return the answers of each classifier-like output.

        Args:
            feeding: one of :meth:`feedings`.
            inputs: canonical [n, *task.shape]: pixels 0 to 255, features, or token ids.
            task: of the claim.
            scaling: one of the feeding's; the first if ``None``.
            rows: how many inputs it is given in one call; where fewer are left, and where its own
                batch is larger, the last of them is repeated.  As many as fit if ``None``.

        Raises:
            CannotRunError: it fails on the inputs, or no output looks like a classifier's.
            SuspectDiedError: the process that ran it is gone, and with it every further answer.
        """

    def reopened(self) -> Suspect:
        """Return the same suspect as if it had never been asked, to be closed after use.

        A model's session may keep what it was asked: a random operator goes on from call to call.
        What cannot be made to forget, an API or a function, is returned as it is, and so is what
        was never asked: it is then to be closed once.
        """

    def close(self) -> None:
        """Let go of what it takes."""


def open_suspect(
    suspect: str | Path | Predict,
    device: Device = "auto",
    *,
    sandbox: Sandbox | None = None,
    own: bool = False,
    overrides: Overrides | None = None,
    token: str | None = None,
    request_policy: RequestPolicy | None = None,
    weights: Iterable[str | Path] = (),
    apart_from: Iterable[str | Path] = (),
) -> Suspect:
    """Open an ONNX file or a model behind an API, or wrap a callable.  To be closed after use.

    Args:
        suspect: path of an ONNX file; or ``"https://HOST/v2/models/NAME"``, a text, which is asked
            by the Open Inference Protocol v2; or a function that takes float32 [n, *task.shape],
            channels last and normalized, and returns scores [n, C], or class numbers or names [n].
        device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``; for files only.
        sandbox: the process to run a file in, with limits of one's own; a new one if ``None``.
            It is closed with the suspect.
        own: the file is one's own work, to be run in this process.
        overrides: what is known of inputs and outputs beside what the file or the server says.
        token: sent to an address as a bearer token.
        request_policy: how an address is asked, and how much.
        weights: files beside the model that may hold its weights under other names than exporters
            give; never a key, a claim or another secret.
        apart_from: files, and folders with all that is in them, that are never taken for weights:
            what else is read, and where keys lie.

    Raises:
        CannotRunError: the file cannot be read or loaded, or is refused; the server does not answer
            or has no such model.
        UsageError: triggers or token would go to the address in the clear; or what is given is not
            for a suspect of this kind.
        LimitError: it took too long, or too much memory.
    """
    from wmx.errors import UsageError
    from wmx.suspect.overrides import NO_OVERRIDES

    if isinstance(suspect, str) and is_address(suspect):
        if own or sandbox is not None:
            raise UsageError(f"{suspect} is an address: nothing of it runs on this machine")
        from wmx.suspect.endpoint.endpoint import Endpoint

        return Endpoint.open(
            suspect, token=token, request_policy=request_policy, overrides=overrides or NO_OVERRIDES
        )
    if token is not None or request_policy is not None:
        raise UsageError("a token and manners are for an address")
    if callable(suspect):
        from wmx.suspect.function import FunctionSuspect

        return FunctionSuspect(suspect)
    from wmx.suspect.onnx_file import OnnxFile

    if own:
        return OnnxFile.open_own(suspect, device, weights)
    return OnnxFile.open(
        suspect,
        device,
        sandbox,
        overrides or NO_OVERRIDES,
        weights=weights,
        apart_from=apart_from,
    )


def is_address(suspect: str) -> bool:
    """Say whether a text is meant as an address, and not as a file's name."""
    return suspect.lower().startswith(("http://", "https://"))


@contextmanager
def opened(suspect: str | Path | Predict | Suspect, device: Device = "auto") -> Iterator[Suspect]:
    """Open a suspect for a while; one that was open before is left open.  As open_suspect.

    All that is done with a file meanwhile, weighing its answers too, is held to the usual limits.
    """
    if isinstance(suspect, Suspect):
        yield suspect
        return
    with held_to(None if callable(suspect) else held() or Limits().budget()):
        found = open_suspect(suspect, device)
        try:
            yield found
        finally:
            found.close()
