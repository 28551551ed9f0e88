"""The suspect interface: a model that may bear a watermark, queried with inputs for predictions.

A suspect lists its :meth:`~Suspect.feedings` for a task and returns its
:meth:`~Suspect.predictions` for one of them.  It is untrusted until shown otherwise.
"""

from __future__ import annotations  # the child imports this package, which therefore imports little

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from wmx._internal.budget import held, held_to
from wmx.suspect.sandbox.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wmx.protocol.model_reference import ModelReference
    from wmx.protocol.task import Task
    from wmx.statistics.predictions import Predictions
    from wmx.suspect.feeding import Feeding
    from wmx.suspect.overrides import Overrides
    from wmx.suspect.request_policy import RequestPolicy
    from wmx.suspect.sandbox.process import Sandbox
    from wmx.suspect.types import Device


Predict: TypeAlias = "Callable[[NDArray[Any]], Any]"

MODULES = {  # whose models are exported before they are queried, and by which module
    "torch": ("PyTorch", "wmx_torch"),
    "keras": ("Keras", "wmx_keras"),
    "flax": ("Flax", "wmx_flax"),
    "sklearn": ("scikit-learn", "wmx_sklearn"),
}


@runtime_checkable
class Suspect(Protocol):
    """A model that can be queried, wherever it runs.

    Attributes:
        reference: its name in reports and error messages, and the digests of its files.
        engine: what runs it, with its version.
        overrides: of its inputs and outputs, with a penalty for the choice.
        queries_left: number of inputs that may still be sent; ``None`` if not limited.
        unread_outputs: number of declared outputs of which something was left out that may be
            answers, in any query so far; each counts once.
    """

    reference: ModelReference
    engine: str
    overrides: Overrides

    @property
    def queries_left(self) -> int | None:
        """Number of inputs that may still be sent; ``None`` if not limited."""

    @property
    def unread_outputs(self) -> int:
        """Number of declared outputs of which something was left out that may be answers.

        Since there were too many outputs or readings, since it was too wide or had too many axes,
        parts, texts or rows, since it changed its form from call to call, or is of a type that is
        not read.  What holds no values does not count, and nor do fewer numbers than inputs.
        """

    def leave_out(self, readings: Iterable[str]) -> None:
        """Count the outputs of readings that nobody looks at among the unread ones.

        Args:
            readings: names that :meth:`predictions` gave.
        """

    def feedings(self, task: Task) -> list[Feeding]:
        """Return every way of feeding inputs of ``task`` to the model, at least one.

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
        """Return the predictions of each classifier-like output, by the name of the reading.

        Args:
            feeding: one of :meth:`feedings`.
            inputs: canonical [n, *task.shape]: pixels 0 to 255, features, or token ids.
            task: of the claim.
            scaling: one of the feeding's; the first if ``None``.
            rows: number of inputs per call; the last input is repeated where fewer are left or
                the model's fixed batch is larger.  As many as fit if ``None``.

        Raises:
            CannotRunError: it fails on the inputs, or no output looks like a classifier's.
            SuspectDiedError: the process that ran it ended, so it cannot be queried any more.
        """

    def views(self, *, anew: bool = False) -> Mapping[str, Callable[[], Suspect]]:
        """Return what opens each view of the model, by the view's name; in a fixed order.

        A view is the model read, fed or changed inside (:mod:`wmx.suspect.views`).  There are none
        of a model behind an API.  Opening one raises :class:`CannotRunError` where its graph does
        not run.  Close it after use.

        Args:
            anew: each view is opened in a process of its own, without state of earlier queries.

        Raises:
            UnseenViewError: the model cannot be looked into.
        """

    def reopened(self) -> Suspect:
        """Return the same suspect without the state of earlier queries; close it after use.

        A session may keep state between calls, such as that of a random operator.  A suspect that
        cannot be reset, an API or a function, is returned as it is, and so is one that was never
        queried; it is then to be closed once.
        """

    def close(self) -> None:
        """Release processes and memory."""


@contextmanager
def fresh(suspect: Suspect) -> Iterator[Suspect]:
    """Open a suspect without state of earlier queries, where that can be done.

    Raises:
        CannotRunError: it cannot be opened again.
    """
    again = suspect.reopened()
    try:
        yield again
    finally:
        if again is not suspect:
            again.close()


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
    """Open an ONNX file or a model behind an API, or wrap a function.  Close it after use.

    >>> from contextlib import closing
    >>> from wmx import Task, open_suspect
    >>> with closing(open_suspect("model.onnx")) as suspect:
    ...     suspect.feedings(Task.of((8, 8, 1), classes=10))[0].name
    'NCHW'

    Args:
        suspect: path of an ONNX file; or ``"https://HOST/v2/models/NAME"``, a string, which is
            queried by the Open Inference Protocol v2; or a function that takes float32 [n,
            *task.shape], channels last and normalized, and returns scores [n, C], or class numbers
            or names [n].
        device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``; for files only.
        sandbox: the process to run a file in, with its limits; a new one if ``None``.  It is
            closed with the suspect.
        own: the file is trusted, and is run in this process.
        overrides: of inputs and outputs; for files and addresses.
        token: bearer token for an address.
        request_policy: number of queries, pace and retries for an address.  For a function, which
            may query one: with a policy it is given one trigger after the other, no more than
            ``max_queries`` inputs in all, ``per_second`` at most, and no more once one claim
            verifies; without one as many at once, and as many in all, as there are.
        weights: files beside the model that may hold its weights under other names than exporters
            give; never a key, a claim or another secret.
        apart_from: files, and folders with their contents, that are never read as weights, such as
            keys and the other files of a command.

    Raises:
        CannotRunError: the file cannot be read or loaded, or is refused; the server does not answer
            or has no such model.
        UsageError: triggers or token would go to the address in the clear; or an argument does not
            apply to this kind of suspect.
        LimitError: it took more time or memory than its limit.
    """
    from pathlib import Path

    from wmx.errors import UsageError
    from wmx.suspect.overrides import NO_OVERRIDES

    if isinstance(suspect, str) and is_address(suspect):
        if own or sandbox is not None:
            raise UsageError(f"{suspect} is an address, and does not run on this machine")
        from wmx.suspect.endpoint.endpoint import Endpoint

        return Endpoint.open(
            suspect, token=token, request_policy=request_policy, overrides=overrides or NO_OVERRIDES
        )
    if token is not None:
        raise UsageError("a token is for addresses only")
    _require_no_module(suspect)
    if callable(suspect):
        from wmx.suspect.function import FunctionSuspect

        return FunctionSuspect(suspect, request_policy)
    if request_policy is not None:
        raise UsageError("a request policy is for addresses and functions only")
    if not isinstance(suspect, str | Path):
        raise UsageError(
            f"suspect is {type(suspect).__name__}, expected a path, an address or a function",
            hint="wmx verify --help",
            in_python="the order is wmx.verify(suspect, watermark)",
        )
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


def _require_no_module(suspect: object) -> None:
    """Refuse a framework's model, which would be called with an array it does not take."""
    from wmx.errors import UsageError

    roots = {kind.__module__.partition(".")[0] for kind in type(suspect).__mro__}
    for root, (framework, exporter) in MODULES.items():
        if root in roots:
            name = type(suspect).__name__
            raise UsageError(
                f"{name} is a {framework} model, expected an ONNX file or a function of arrays",
                hint=f"export it first: {exporter}.export(model, 'model.onnx', watermark)",
            )


def is_address(suspect: str) -> bool:
    """Return whether a string is an http:// or https:// address, and not a file name."""
    return suspect.lower().startswith(("http://", "https://"))


@contextmanager
def opened(suspect: str | Path | Predict | Suspect, device: Device = "auto") -> Iterator[Suspect]:
    """Open a suspect within a block and close it after; an open suspect is left open.

    Work with a file within the block, scoring its predictions included, is held to the default
    limits.

    Args:
        suspect, device: as of :func:`open_suspect`, which also says what is raised.
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
