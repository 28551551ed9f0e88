"""Main program of the sandboxed child process: locks itself, then loads and runs the model.

Started by :mod:`wmx.suspect.sandbox.process`; nothing untrusted is read before ``confine``.  An
untrusted model is parsed only here: the process that has the key sends its bytes unread, is told
which other files it names, and decides whether to send those.
"""

import os
import signal
import sys
from typing import IO, Any

from numpy.typing import NDArray

from wmx.errors import WmxError
from wmx.suspect import session as runtime
from wmx.suspect.policy.external_data import parts_of
from wmx.suspect.policy.onnx_header import read_header
from wmx.suspect.policy.onnx_rules import Outline
from wmx.suspect.policy.rules import looked_through
from wmx.suspect.sandbox import wire
from wmx.suspect.sandbox.limits import limit_this_process
from wmx.suspect.sandbox.locks import CHANGING_FILES, NETWORK, OTHER_PROCESSES, READING_FILES
from wmx.suspect.sandbox.seccomp import filter_this_process
from wmx.suspect.sandbox.wire import Message
from wmx.suspect.tables import may_be_a_table
from wmx.suspect.types import TensorSpec
from wmx.suspect.values import NOTHING, Value, flattened

MAX_REQUEST_BYTES = 2**33  # more than all files of a model together
OVERTIME = 5  # seconds beyond the limit after which a child without a parent ends itself


def main() -> None:
    """Answer messages on stdin until it is closed."""
    answer_parent(Child())


def answer_parent(child: "Child") -> None:
    """Let ``child`` answer the messages on stdin until it is closed."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the runtime prints must not mix with the answers
    serve(child, sys.stdin.buffer, replies)


def serve(child: "Child", requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer every request with one message; failures are messages too.

    Args:
        child: makes the replies.
        requests, replies: the streams, in the format of :mod:`wmx.suspect.sandbox.wire`.
    """
    while (request := wire.read(requests, MAX_REQUEST_BYTES)) is not None:
        try:
            answer = child.answer(request)
        except WmxError as error:
            answer = Message("refused", {"message": str(error), "hint": error.hint})
        except MemoryError:
            answer = Message("refused", {"message": "the model is too large for its memory limit"})
        except Exception as error:  # the parent is told of any failure
            answer = Message("refused", {"message": f"{type(error).__name__}: {error}"})
        wire.write(replies, answer)
        child.rest()


class Child:
    """The state between messages: the device, the limits and the model.

    Attributes:
        device, provider: where the model runs.
        session: the loaded model, if there is one.
    """

    def __init__(self) -> None:
        self.device: Any = None
        self.provider: str | None = None
        self._seconds = 0
        self._answer_bytes = 0
        self._model: tuple[bytes, Outline] | None = None  # until it is loaded
        self.session: runtime.Session | None = None

    def answer(self, request: Message) -> Message:
        """Return the reply to a request; :func:`serve` turns errors into replies."""
        if self._seconds and os.name == "posix":
            signal.alarm(self._seconds)
        match request.kind:
            case "confine":
                return self.confine(request.fields)
            case "load":
                return self.load(request)
            case "weights":
                return self.load_with_weights(request)
            case "run":
                return self.run(request)
        return self.do(request)

    def do(self, request: Message) -> Message:
        """Answer a request of another kind; for subclasses."""
        raise ValueError(f"a request of kind {request.kind!r}")

    def rest(self) -> None:
        """Stop the alarm that ends a child without a parent."""
        if os.name == "posix":
            signal.alarm(0)

    def confine(self, wanted: dict[str, Any]) -> Message:
        """Lock this process, after loading the libraries that it can no longer open then."""
        self.device = wanted["device"]
        self.provider = runtime.provider_for(self.device)
        self._seconds = int(wanted["seconds"]) + OVERTIME
        self._answer_bytes = wanted["answer_bytes"]
        gpu = self.provider != runtime.CPU
        held = limit_this_process(wanted["memory_bytes"], wanted["cpu_seconds"], gpu=gpu)
        if filter_this_process(may_open_files=gpu):
            held += [NETWORK, OTHER_PROCESSES]
            held += [] if gpu else [CHANGING_FILES, READING_FILES]
        return Message("confined", {"held": held, "provider": self.provider})

    def load(self, request: Message) -> Message:
        """Load the ONNX file of the request, or reply with the other files that it needs."""
        (content,) = request.arrays
        assert content is not None
        data = content.tobytes()
        outline = looked_through(data, request.fields["name"])
        self._model = (data, outline)
        if outline.files:
            return Message("needs", {"files": outline.files})
        return self._taken({})

    def load_with_weights(self, request: Message) -> Message:
        """Load the model with the joined contents of the files that it needs."""
        assert self._model is not None
        (joined,) = request.arrays
        assert joined is not None
        _, outline = self._model
        parts = parts_of(memoryview(joined.data), outline.files, request.fields["sizes"])
        return self._taken(parts)

    def _taken(self, weights: dict[str, memoryview]) -> Message:
        assert self._model is not None
        (data, outline), self._model = self._model, None
        return self.loaded(data, outline, weights)

    def loaded(self, data: bytes, outline: Outline, weights: dict[str, memoryview]) -> Message:
        """Load a model whose files are all there, and describe it; for subclasses, too.

        Args:
            data: content of its file.
            outline: of the file.
            weights: content of the files beside it, by name.
        """
        self.session = runtime.load(data, outline, self.device, self.provider, weights)
        header = read_header(data)
        stated = {"opsets": list(header.opsets), "producer": header.producer}
        return Message("loaded", described(self.session) | stated)

    def run(self, request: Message) -> Message:
        """Run the model on the inputs of the request."""
        inputs = dict(zip(request.fields["inputs"], request.arrays, strict=True))
        fed = {name: array for name, array in inputs.items() if array is not None}
        one = {1}  # row, where no input has an axis for a batch
        rows = one | {len(array) for array in fed.values() if array.ndim}
        flat, parts, cut = flattened(self.values(fed), wire.MAX_ARRAYS)
        values = [_sendable(value, rows) for value in flat]
        return Message(
            "answers",
            {"parts": parts, "cut": cut},
            tuple(_narrowest(values, self._answer_bytes)),
        )

    def values(self, inputs: dict[str, NDArray[Any]]) -> list[Value]:
        """Return the model's outputs."""
        assert self.session is not None
        return self.session.run(inputs)


def described(session: runtime.Session) -> dict[str, Any]:
    """Return what a parent is told of a loaded model."""
    return {
        "provider": session.provider,
        "version": session.version,
        "inputs": list(map(_port, session.inputs)),
        "outputs": list(map(_port, session.outputs)),
    }


def _port(port: TensorSpec) -> list[Any]:
    return [port.name, port.type, list(port.shape)]


def _sendable(value: NDArray[Any] | None, rows: set[int]) -> NDArray[Any] | None:
    """Return a value that may be scores or class numbers; ``None`` for any other.

    What holds no values is an empty array, which may tell something by its shape.
    """
    if value is None:
        return None
    if not value.size:
        return value if wire.fits(value) else NOTHING
    if not wire.fits(value) or not any(may_be_a_table(value, count) for count in rows):
        return None
    return value


def _narrowest(values: list[NDArray[Any] | None], most: int) -> list[NDArray[Any] | None]:
    """Replace the largest values by ``None`` until the others fit into ``most`` bytes.

    Otherwise a huge output beside the scores would hide them.
    """
    left = most
    sent = set()
    sizes = {place: value.nbytes for place, value in enumerate(values) if value is not None}
    for place in sorted(sizes, key=lambda place: sizes[place]):
        left -= sizes[place]
        if left < 0:
            break
        sent.add(place)
    return [value if place in sent else None for place, value in enumerate(values)]
