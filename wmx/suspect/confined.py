"""A model in a child process, behind the same few methods as one in this process.

What the child answers is as hostile as the model: it is held against what was asked, and the only
things taken from it are numbers and printable text.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError
from wmx.printable import printable
from wmx.sandbox.hiding import hide_this_process
from wmx.sandbox.locks import NETWORK, READING_FILES, tell_missing_filter
from wmx.sandbox.process import Sandbox
from wmx.sandbox.wire import MAX_RANK, Message
from wmx.suspect.device import Device
from wmx.suspect.model_files import ModelFiles
from wmx.suspect.onnx_rules import MAX_NAME, MAX_PORTS
from wmx.suspect.port import Port

ON_CPU = "CPUExecutionProvider"


class Session(Protocol):
    """A loaded model: what :class:`wmx.suspect.runtime.Session` is, wherever it runs."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    provider: str
    version: str

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any] | None]:
        """Return the value of every output, ``None`` for what is not an array."""


class ConfinedSession:
    """A model loaded in a child.

    Attributes:
        inputs, outputs: in the file's order.
        provider: the execution provider that was really taken.
        version: of the runtime.
    """

    def __init__(self, sandbox: Sandbox, files: ModelFiles, device: Device) -> None:
        """Confine the child, then hand it the model.

        Raises:
            CannotRunError: the model is refused or cannot be loaded, or the child died.
        """
        self._sandbox = sandbox
        confine(sandbox, files.size, device)
        described = {
            "name": files.name,
            "files": list(files.external),
            "sizes": list(map(len, files.external.values())),
        }
        joined = b"".join(files.external.values())
        contents = (np.frombuffer(files.data, np.uint8), np.frombuffer(joined, np.uint8))
        loaded = ask(sandbox, Message("load", described, contents), "loaded").fields
        self.provider = _line(loaded.get("provider"))
        self.version = _line(loaded.get("version"))
        self.inputs = ports_of(sandbox, loaded.get("inputs"))
        self.outputs = ports_of(sandbox, loaded.get("outputs"))

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any] | None]:
        """Return the value of every output, in the order of :attr:`outputs`.

        ``None`` stands for what cannot be a classifier's answer: maps, texts, feature maps.

        Raises:
            CannotRunError: the model failed on these inputs.
            SuspectDiedError: the child is gone.
        """
        asked = Message("run", {"inputs": list(inputs)}, tuple(inputs.values()))
        values = ask(self._sandbox, asked, "answers").arrays
        if len(values) != len(self.outputs):
            raise self._sandbox.disown(
                f"gave {len(values)} outputs, expected {len(self.outputs)} as declared"
            )
        return list(values)

    def close(self) -> None:
        """End the child."""
        self._sandbox.close()


def confine(sandbox: Sandbox, file_bytes: int, device: Device) -> list[str]:
    """Lock a fresh child, for good, and return the names of the limits that hold there.

    From a child that can open files this process hides its memory, which is such a file on Linux.

    Raises:
        CannotRunError: the device cannot be used, or the child died.
    """
    memory = sandbox.limits.memory_for(file_bytes)
    wanted = {
        "device": device,
        "memory_bytes": memory,
        "cpu_seconds": sandbox.limits.cpu_seconds,
        "seconds": sandbox.limits.seconds,
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


def ask(sandbox: Sandbox, message: Message, expected: str) -> Message:
    """Send a message and return the answer, of the kind that is expected.

    Raises:
        CannotRunError: the child refuses; its words are made printable.
        SuspectDiedError: it is gone, or answers something else.
    """
    answer = sandbox.ask(message)
    if answer.kind == "refused":
        hint = answer.fields.get("hint")
        raise CannotRunError(
            _line(answer.fields.get("message")), hint=None if hint is None else _line(hint)
        )
    if answer.kind != expected:
        raise sandbox.disown("answered something else than was asked")
    return answer


def _list(sandbox: Sandbox, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_PORTS:
        raise sandbox.disown("sent no list, or an endless one")
    return value


def ports_of(sandbox: Sandbox, described: Any) -> tuple[Port, ...]:
    """Return inputs or outputs as a child describes them.

    Raises:
        SuspectDiedError: it described what cannot be, and is gone.
    """
    ports = [_port(value) for value in _list(sandbox, described)]
    found = tuple(port for port in ports if port is not None)
    if len(found) < len(ports):
        raise sandbox.disown("described an input or output that cannot be")
    return found


def _port(value: Any) -> Port | None:
    """Return a port as the child describes it, ``None`` for nonsense."""
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], list):
        return None
    *words, shape = value
    if not all(isinstance(w, str) and len(w) <= MAX_NAME and w.isprintable() for w in words):
        return None
    if len(shape) > MAX_RANK or not all(
        dim is None or (type(dim) is int and 0 < dim < 2**63) for dim in shape
    ):
        return None
    return Port(words[0], words[1], tuple(shape))


def _line(value: Any) -> str:
    return printable(value) if isinstance(value, str) else "?"
