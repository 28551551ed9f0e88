"""A model that runs in a sandboxed child process, with the interface of one in this process.

Replies of the child are as untrusted as the model: they are checked against the request, and only
numbers and printable text are taken from them.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from wmx._internal.budget import Budget
from wmx._internal.text import is_file_name, printable
from wmx.errors import CannotRunError
from wmx.suspect.policy.external_data import MAX_EXTERNAL_FILES
from wmx.suspect.policy.model_files import ModelFiles
from wmx.suspect.policy.model_header import MAX_OPSETS, MAX_TEXT, ModelHeader
from wmx.suspect.sandbox.locks import NETWORK, READING_FILES, tell_missing_filter
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.sandbox.seccomp import hide_this_process
from wmx.suspect.sandbox.wire import Message
from wmx.suspect.types import MAX_NAME, MAX_PORTS, MAX_RANK, Device, TensorSpec
from wmx.suspect.values import Value, gathered

ON_CPU = "CPUExecutionProvider"
MAX_WORD = 2 * MAX_TEXT + 1  # of a header: name and version


class Session(Protocol):
    """A loaded model: the interface of :class:`wmx.suspect.session.Session`, wherever it runs."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    provider: str
    version: str

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[Value]:
        """Return the value of every output, ``None`` for what could not be read."""


def model_failed(inputs: Mapping[str, NDArray[Any]]) -> CannotRunError:
    """Return the error that a model failed; it names shapes and dtypes, never secret values."""
    shapes = ", ".join(f"{array.dtype} {array.shape}" for array in inputs.values())
    return CannotRunError(
        f"the model failed on an input of {shapes}",
        hint="run it with onnxruntime on an input of your own to see why",
    )


class ConfinedSession:
    """A model loaded in a child process.

    Attributes:
        inputs, outputs: in the file's order.
        provider: the execution provider in use.
        version: of the runtime.
        header: operator sets and producer that the file states.
        budget: time and memory that may be spent on it.
        max_answer_bytes: limit of one reply.
    """

    def __init__(self, sandbox: Sandbox, files: ModelFiles, device: Device) -> None:
        """Confine the child, then send it the model, which has not been parsed yet.

        Args:
            sandbox: the child process.
            files: of the model.
            device: where to run it.

        Raises:
            CannotRunError: the model is refused or cannot be loaded, names files that are not its
                weights, or the child died.
        """
        self._sandbox = sandbox
        self.budget: Budget = sandbox.budget
        self.max_answer_bytes = sandbox.max_answer_bytes
        loaded = handed_over(sandbox, files, device, "loaded")
        self.describe(loaded)
        self.header = header_of(sandbox, loaded.get("opsets"), loaded.get("producer"))

    def describe(self, loaded: Mapping[str, Any]) -> None:
        """Take over what the child says of the model that it has loaded, after checking it."""
        self.provider = _line(loaded.get("provider"))
        self.version = _line(loaded.get("version"))
        self.inputs = ports_of(self._sandbox, loaded.get("inputs"))
        self.outputs = ports_of(self._sandbox, loaded.get("outputs"))

    @property
    def is_alive(self) -> bool:
        """Whether the child is running, as far as is known."""
        return self._sandbox.is_alive

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[Value]:
        """Return the value of every output, in the order of :attr:`outputs`.

        ``None`` stands for what the child did not send: what is too large or has too many axes for
        a classifier's output, such as feature maps, or is of another type.

        The child's description of a failure is not passed on: it has seen triggers, and its text
        may contain them.

        Args:
            inputs: arrays by the names of the inputs.

        Raises:
            CannotRunError: the model failed on these inputs.
            SuspectDiedError: the child ended.
        """
        request = Message("run", {"inputs": list(inputs)}, tuple(inputs.values()))
        answer = self._sandbox.ask(request)
        if answer.kind == "refused":
            raise model_failed(inputs)
        given = _expected(self._sandbox, answer, "answers")
        values = gathered(given.arrays, given.fields.get("parts"), given.fields.get("cut"))
        if values is None:
            raise self._sandbox.disown("gave other parts of its outputs than it said")
        if len(values) != len(self.outputs):
            raise self._sandbox.disown(
                f"gave {len(values)} outputs, expected {len(self.outputs)} as declared"
            )
        return values

    def close(self) -> None:
        """End the child."""
        self._sandbox.close()


def handed_over(
    sandbox: Sandbox, files: ModelFiles, device: Device, kind: str
) -> Mapping[str, Any]:
    """Confine a child, send it a model, and return what it says of it.

    Args:
        sandbox: the child process.
        files: of the model.
        device: where to run it.
        kind: of the reply.

    Raises:
        CannotRunError: as :class:`ConfinedSession`.
    """
    confine(sandbox, files.size, device)
    model = Message("load", {"name": files.name}, streamed=files.model())
    answer = ask(sandbox, model, kind, "needs")
    if answer.kind == "needs":
        names = file_names_of(sandbox, answer.fields.get("files"))
        sizes, contents = files.weights(names)
        weights = Message("weights", {"sizes": sizes}, streamed=contents)
        answer = ask(sandbox, weights, kind)
    return answer.fields


def confine(sandbox: Sandbox, file_bytes: int, device: Device) -> list[str]:
    """Lock a fresh child permanently and return the names of the limits in force there.

    From a child that can open files this process hides its memory, which is a file on Linux.

    Args:
        sandbox: the child process.
        file_bytes: size of the model's files, for the memory limit.
        device: where the model will run.

    Raises:
        CannotRunError: the device cannot be used, or the child died.
    """
    memory = sandbox.limits.memory_for(file_bytes)
    wanted = {
        "device": device,
        "memory_bytes": memory,
        "cpu_seconds": sandbox.limits.cpu_seconds,
        "seconds": sandbox.limits.seconds,
        "answer_bytes": sandbox.max_answer_bytes,
    }
    confined = ask(sandbox, Message("confine", wanted), "confined").fields
    if confined.get("provider") != ON_CPU:
        sandbox.watch_memory(memory)
    held = [_line(name) for name in _list(sandbox, confined.get("held"))]
    if READING_FILES not in held:
        hide_this_process()
    if NETWORK not in held:
        tell_missing_filter()
    return held


def ask(sandbox: Sandbox, message: Message, *expected: str) -> Message:
    """Send a message and return the reply after checking its kind.

    Args:
        sandbox: the child process.
        message: the request.
        expected: kinds of reply.

    Raises:
        CannotRunError: the child refuses; its text is made printable.
        SuspectDiedError: it ended, or sent another kind of reply.
    """
    answer = sandbox.ask(message)
    if answer.kind == "refused":
        hint = answer.fields.get("hint")
        raise CannotRunError(
            _line(answer.fields.get("message")), hint=None if hint is None else _line(hint)
        )
    return _expected(sandbox, answer, *expected)


def _expected(sandbox: Sandbox, answer: Message, *kinds: str) -> Message:
    if answer.kind not in kinds:
        raise sandbox.disown("sent a reply of another kind than expected")
    return answer


def _list(sandbox: Sandbox, value: Any, most: int = MAX_PORTS) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise sandbox.disown("sent no list, or one that is too long")
    return value


def file_names_of(sandbox: Sandbox, value: Any) -> list[str]:
    """Return the names of the files that a model needs, as its child says, after checking them.

    Args:
        sandbox: the child process.
        value: its reply, untrusted.

    Raises:
        SuspectDiedError: the names cannot be right; the child was killed.
    """
    names = _list(sandbox, value, MAX_EXTERNAL_FILES)
    if not all(isinstance(name, str) and is_file_name(name) for name in names):
        raise sandbox.disown("requested a file under what is no file name")
    if not names or len(set(names)) < len(names):
        raise sandbox.disown("requested a file twice, or none")
    return names


def header_of(sandbox: Sandbox, opsets: Any, producer: Any) -> ModelHeader:
    """Return the operator sets and producer that a child states.

    Args:
        sandbox: the child process.
        opsets: its reply, untrusted.
        producer: its reply, untrusted.

    Raises:
        SuspectDiedError: they are malformed; the child was killed.
    """
    words = [*_list(sandbox, opsets, MAX_OPSETS), producer]
    if not all(isinstance(word, str) and len(word) <= MAX_WORD for word in words):
        raise sandbox.disown("described operator sets or a producer that cannot be")
    *sets, maker = (printable(word, None) for word in words)
    return ModelHeader(tuple(sets), maker)


def ports_of(sandbox: Sandbox, described: Any) -> tuple[TensorSpec, ...]:
    """Return inputs or outputs that a child describes.

    Args:
        sandbox: the child process.
        described: its reply, untrusted.

    Raises:
        SuspectDiedError: they are malformed; the child was killed.
    """
    ports = [_port(value) for value in _list(sandbox, described)]
    found = tuple(port for port in ports if port is not None)
    if len(found) < len(ports):
        raise sandbox.disown("described an input or output that cannot be")
    return found


def _port(value: Any) -> TensorSpec | None:
    """Return an input or output that the child describes, ``None`` if it is malformed."""
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], list):
        return None
    *words, shape = value
    if not all(isinstance(w, str) and len(w) <= MAX_NAME and w.isprintable() for w in words):
        return None
    if len(shape) > MAX_RANK or not all(
        dim is None or (type(dim) is int and 0 < dim < 2**63) for dim in shape
    ):
        return None
    return TensorSpec(words[0], words[1], tuple(shape))


def _line(value: Any) -> str:
    return printable(value) if isinstance(value, str) else "?"
