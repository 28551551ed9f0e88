"""``Monitor``: hits and bits while training, so that a mark that does not take is seen in time."""

from typing import Any

import keras

from wmx.training.metrics import Marking, measure
from wmx.watermark import Watermark
from wmx_keras.inference import scores


class Monitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures the mark after every epoch; a callback for ``fit``, or called with a model.

    ``wmx_hits`` and ``wmx_bits`` go into the logs, and so into the history and the progress bar of
    callbacks that come later.  This is not a verdict: that is given on the exported file
    (:func:`wmx.verify`).

    Attributes:
        history: every :class:`Marking` so far.
    """

    def __init__(self, watermark: Watermark) -> None:
        super().__init__()
        self.history: list[Marking] = []
        self._watermark = watermark

    def __call__(self, model: Any) -> Marking:
        """Ask ``model`` about every trigger in inference mode.

        Raises:
            CannotRunError: the model does not return scores for the claim's classes.
        """
        task = self._watermark.task
        marking = measure(self._watermark, lambda inputs: scores(model, inputs, task))
        self.history.append(marking)
        return marking

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, and add to the logs."""
        marking = self(self.model)
        if logs is not None:
            logs.update(marking.logs())
