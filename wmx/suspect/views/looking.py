"""Looking into a model in memory: lists its views, and loads one after the other."""

from collections.abc import Mapping

import onnx

from wmx.suspect import session as runtime
from wmx.suspect.policy.file_type import ORT_IDENTIFIER
from wmx.suspect.policy.onnx_rules import Outline
from wmx.suspect.types import Device
from wmx.suspect.views.catalogue import View, views_of
from wmx.suspect.views.opened import UnseenViewError
from wmx.suspect.views.skeleton import THIS_FILE, skeleton_of


class LookedInto:
    """A model that is looked into.

    Attributes:
        names: of its views.
        is_alive: always.
    """

    is_alive = True

    def __init__(
        self,
        data: bytes,
        outline: Outline,
        weights: Mapping[str, runtime.Buffer],
        device: Device = "auto",
        provider: str | None = None,
    ) -> None:
        """Find the views of a model.

        Args:
            data: content of its file.
            outline: of the file.
            weights: content of the files beside it, by name.
            device, provider: as of :func:`wmx.suspect.session.load`.

        Raises:
            UnseenViewError: it cannot be looked into.
        """
        self._outline = outline
        self._device, self._provider = device, provider
        self._contents = {**weights, THIS_FILE: data}
        self._views = {view.name: view for view in _found(data, outline.name)}
        self.names = tuple(self._views)

    def session(self, name: str) -> runtime.Session:
        """Load the model of a view.

        Args:
            name: of the view.

        Raises:
            CannotRunError: its graph does not run.
            UnseenViewError: it cannot be made.
        """
        try:
            data = self._views[name].model().SerializeToString()
        except Exception as error:  # those of C++ have no common base
            raise UnseenViewError(f"its graph cannot be changed: {type(error).__name__}") from None
        return runtime.load(data, self._outline, self._device, self._provider, self._contents)

    def close(self) -> None:
        """Do nothing: its memory is freed with it."""


def _found(data: bytes, name: str) -> list[View]:
    """Return the views of a file, as the library of ONNX reads it."""
    if data[4:8] == ORT_IDENTIFIER:
        raise UnseenViewError(f"{name} is in onnxruntime's own format, and is not looked into")
    try:
        return views_of(onnx.load_model_from_string(skeleton_of(data)))
    except Exception as error:  # those of C++ have no common base
        raise UnseenViewError(f"{name} cannot be looked into: {type(error).__name__}") from None
