"""Main program of the sandboxed child process that looks into a model, a view at a time."""

from wmx.suspect import worker
from wmx.suspect.policy.onnx_rules import Outline
from wmx.suspect.sandbox.wire import Message
from wmx.suspect.views.looking import LookedInto
from wmx.suspect.views.opened import UnseenViewError


def main() -> None:
    """Answer messages on stdin until it is closed."""
    worker.answer_parent(LookingChild())


class LookingChild(worker.Child):
    """A child whose model is changed before it is loaded, as often as it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_into: LookedInto | None = None

    def loaded(self, data: bytes, outline: Outline, weights: dict[str, memoryview]) -> Message:
        """Tell the names of the views, in place of inputs and outputs.

        Args:
            data, outline, weights: as of :meth:`wmx.suspect.worker.Child.loaded`.
        """
        self._looked_into = LookedInto(data, outline, weights, self.device, self.provider)
        return Message("views", {"names": list(self._looked_into.names)})

    def do(self, request: Message) -> Message:
        """Load a view."""
        if request.kind != "view":
            return super().do(request)
        assert self._looked_into is not None
        self.session = None  # frees the memory of the last one
        name = self._looked_into.names[request.fields["number"]]
        try:
            self.session = self._looked_into.session(name)
        except UnseenViewError:
            return Message("unseen")
        return Message("loaded", worker.described(self.session))
