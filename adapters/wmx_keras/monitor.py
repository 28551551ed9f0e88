"""``Monitor``: measures hits and bits during training, to notice early if a mark is not learned."""

from typing import Any

import keras

from wmx.training.metrics import Marking, measure
from wmx.watermark import Watermark
from wmx_keras._inference import scores


class Monitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures the mark after every epoch, as a callback of ``fit``, or when called with a model.

    ``wmx_hits`` and ``wmx_bits`` are added to the logs, and so to the history and to later
    callbacks.  This is not a verdict: that is given on the exported file
    (:func:`wmx.verify`).

    Attributes:
        history: all measurements so far, as :class:`Marking`.
    """

    def __init__(self, watermark: Watermark) -> None:
        super().__init__()
        self.history: list[Marking] = []
        self._watermark = watermark

    def __call__(self, model: Any) -> Marking:
        """Query ``model`` on every trigger in inference mode.

        Raises:
            CannotRunError: the model does not return scores for the claim's classes.
        """
        task = self._watermark.task
        marking = measure(self._watermark, lambda inputs: scores(model, inputs, task))
        self.history.append(marking)
        return marking

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, and add the result to the logs; called by Keras.

        Args:
            epoch: from 0.
            logs: of the epoch, changed in place.
        """
        marking = self(self.model)
        if logs is not None:
            logs.update(marking.logs())
