"""``Monitor``: hits and bits while training, so that a mark that does not take is seen in time."""

from wmx.training.metrics import Marking, measure
from wmx.watermark import Watermark
from wmx_flax.inference import Call, Model, scores


class Monitor:
    """Measures the mark in a model that is being trained.

    This is not a verdict: that is given on the exported file (:func:`wmx.verify`).

    Attributes:
        history: every :class:`Marking` so far.
    """

    def __init__(self, watermark: Watermark, *, call: Call | None = None) -> None:
        """``call`` as in :func:`wmx_flax.inference.pure_model`."""
        self.history: list[Marking] = []
        self._watermark = watermark
        self._call = call

    def __call__(self, model: Model) -> Marking:
        """Ask an NNX module, or (Linen module, variables), about every trigger.

        Raises:
            CannotRunError: the model does not return logits for the claim's classes.
        """
        task = self._watermark.task
        marking = measure(self._watermark, lambda inputs: scores(model, inputs, task, self._call))
        self.history.append(marking)
        return marking
