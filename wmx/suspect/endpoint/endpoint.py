"""Suspect backed by a model server that speaks the Open Inference Protocol v2."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Self

from numpy.typing import NDArray

from wmx._internal.budget import consult
from wmx._internal.http import checked_address
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.suspect.endpoint.client import Client
from wmx.suspect.endpoint.messages import (
    HEADER_LENGTH,
    ProtocolError,
    outputs_of,
    parsed,
    ports_of,
    request_body,
)
from wmx.suspect.feeding import Feeding, filled_up
from wmx.suspect.inputs import cannot_be_fed, feedings
from wmx.suspect.overrides import NO_OVERRIDES, Overrides
from wmx.suspect.reader import OutputReader
from wmx.suspect.request_policy import RequestPolicy
from wmx.suspect.suspect import Suspect
from wmx.suspect.tables import Joined
from wmx.suspect.types import TensorSpec
from wmx.suspect.values import Array, Texts

MODEL_PATH = re.compile(r"(?P<server>.*)(?P<model>/v2/models/[^/?#]+(/versions/[^/?#]+)?)/?")
BINARY = "binary_tensor_data"
MAX_BATCH = 32
NAMELESS = "input"  # where a server does not name its inputs


class Endpoint:
    """A model behind the Open Inference Protocol v2.

    Attributes:
        reference: its address; there is no file.
        engine: the protocol, and the platform that the server states.
        overrides: of its inputs and outputs.
        client: sends the requests.
    """

    def __init__(
        self, address: str, client: Client, path: str, overrides: Overrides = NO_OVERRIDES
    ) -> None:
        """Fetch the server's description of the model.

        Args:
            address: of the model.
            client: sends the requests.
            path: of the model below the server's address.
            overrides: of its inputs and outputs.

        Raises:
            CannotRunError: the server has no such model, or does not speak the protocol.
        """
        self.reference = ModelReference(address)
        self.client = client
        self.overrides = overrides
        self._reader = OutputReader()
        self._path = path
        self._texts: defaultdict[str, Texts] = defaultdict(Texts)
        try:
            server = parsed(client.get("/v2").body)
            model = parsed(client.get(path).body)
            self._inputs = ports_of(model.get("inputs"))
            self._outputs = ports_of(model.get("outputs"))
            if any(client.shown(str(port), None) != str(port) for port in self._ports):
                raise ProtocolError("a name or type that repeats the token, or cannot be printed")
        except ProtocolError as error:
            said = client.shown(str(error))
            raise CannotRunError(f"{address} does not speak the protocol: {said}") from None
        extensions = server.get("extensions")
        self._binary = isinstance(extensions, list) and BINARY in extensions
        platform = model.get("platform")
        said = client.shown(platform, 60) if isinstance(platform, str) and platform else "model"
        self.engine = f"Open Inference Protocol 2, {said}"

    @classmethod
    def open(
        cls,
        address: str,
        *,
        token: str | None = None,
        request_policy: RequestPolicy | None = None,
        overrides: Overrides = NO_OVERRIDES,
    ) -> Self:
        """Open ``https://HOST/.../v2/models/NAME``, or ``http://`` on this machine.

        Args:
            address: of the model.
            token: sent as a bearer token.
            request_policy: limits on the queries.
            overrides: of inputs and outputs.

        Raises:
            UsageError: not such an address, or one to which triggers would go without TLS.
            CannotRunError: as the constructor.
        """
        checked_address(address, "the model's address")
        found = MODEL_PATH.fullmatch(address)
        if found is None:
            raise UsageError(
                f"{address!r} is no model's address, expected http(s)://HOST/v2/models/NAME",
                hint="query other APIs with --callable package.module:function",
            )
        client = Client(found["server"], token, request_policy or RequestPolicy())
        return cls(address, client, found["model"], overrides)

    @property
    def _ports(self) -> tuple[TensorSpec, ...]:
        return self._inputs + self._outputs

    @property
    def queries_left(self) -> int | None:
        """Number of inputs that may still be sent."""
        return self.client.left

    @property
    def unread_outputs(self) -> int:
        """Number of outputs that were not read in full; as :class:`Suspect` says."""
        return len(self._reader.unread)

    def leave_out(self, readings: Iterable[str]) -> None:
        """Count the outputs of these readings as unread; as :meth:`Suspect.leave_out`."""
        self._reader.leave_out(readings)

    def views(self, *, anew: bool = False) -> dict[str, Callable[[], Suspect]]:
        """Return none: what a server runs cannot be looked into."""
        return {}

    def reopened(self) -> Self:
        """Return itself: a server cannot be made to forget queries."""
        return self

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def feedings(self, task: Task) -> list[Feeding]:
        """Return the ways to feed the task's inputs, by the server's description of the model."""
        candidates = [self._inputs] if self._inputs else [(port,) for port in _guessed(task)]
        found = [
            one for ports in candidates for one in feedings(ports, task, self.overrides.inputs)
        ]
        if not found:
            raise cannot_be_fed(
                self.reference.name,
                self._inputs,
                task,
                hint="is this claim for another model? --input NAME=NUMBER fills an input that "
                "takes no trigger",
            )
        return found

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Query the server, ``rows`` or a batch per call; as :meth:`Suspect.predictions`."""
        full = feeding.batch or rows
        step = min(rows or MAX_BATCH, feeding.batch or MAX_BATCH)
        feeding.require_bounded(full or step, task, self.reference.name)
        joined = Joined(len(inputs), task.classes)
        for start in range(0, len(inputs), step):
            consult()
            chunk = inputs[start : start + step]
            wanted = len(chunk)
            if full is not None:
                chunk = filled_up(chunk, full)
            outputs = self._infer(feeding.fed(chunk, task, scaling), len(chunk))
            joined.add(outputs.items(), len(chunk), wanted)
        found = self._reader.predictions(joined, len(inputs), task.classes)
        if not found:
            given = "; ".join(map(str, self._outputs)) or "nothing that it describes"
            raise CannotRunError(
                f"{self.reference.name} has no classifier output: it gives "
                f"{self.client.shown(given, 1000)}, expected scores [N, C] with C >= 2, or class "
                "numbers or names [N]"
            )
        return found

    def _infer(self, fed: dict[str, NDArray[Any]], count: int) -> dict[str, Array]:
        """Return the outputs; those whose names were not declared before are numbered.

        A name that comes with the predictions could spell the triggers, and reports show names.
        """
        chosen = self.overrides.output
        body, headers = request_body(fed, [] if chosen is None else [chosen], binary=self._binary)
        response = self.client.post(f"{self._path}/infer", body, headers, inputs=count)
        known = [port.name for port in self._outputs] if chosen is None else [chosen]
        try:
            found = outputs_of(
                response.body, response.headers.get(HEADER_LENGTH), self._texts, known
            )
        except ProtocolError as error:
            raise CannotRunError(
                f"{self.reference.name} sent a malformed response: {error}"
            ) from None
        return found if chosen is None else {chosen: found[chosen]} if chosen in found else {}


def _guessed(task: Task) -> list[TensorSpec]:
    """Return the likely inputs of a model that the server does not describe."""
    if task.kind == "tokens":
        return [TensorSpec(NAMELESS, "tensor(int64)", (None, *task.shape))]
    if task.kind == "features":
        return [TensorSpec(NAMELESS, "tensor(float)", (None, *task.shape))]
    height, width, channels = task.shape
    shapes = ((channels, height, width), (height, width, channels), (height * width * channels,))
    return [TensorSpec(NAMELESS, "tensor(float)", (None, *shape)) for shape in shapes]
