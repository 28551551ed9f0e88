"""``Monitor``: measures hits and bits during training, to notice early if a mark is not learned."""

from wmx.training.metrics import Marking, measure
from wmx.watermark import Watermark
from wmx_flax._inference import Call, Model, scores


class Monitor:
    """Measures how well a model has learned the mark, during training.

    This is not a verdict: that is given on the exported file (:func:`wmx.verify`).

    Attributes:
        history: all measurements so far, as :class:`Marking`.
    """

    def __init__(self, watermark: Watermark, *, call: Call | None = None) -> None:
        """Initialize.

        Args:
            watermark: the claim and its triggers.
            call: (model, inputs) to logits in inference mode, for models with further arguments;
                for Linen (variables, inputs) to logits.
        """
        self.history: list[Marking] = []
        self._watermark = watermark
        self._call = call

    def __call__(self, model: Model) -> Marking:
        """Query an NNX module, or (Linen module, variables), on every trigger.

        Raises:
            CannotRunError: the model does not return logits for the claim's classes.
        """
        task = self._watermark.task
        marking = measure(self._watermark, lambda inputs: scores(model, inputs, task, self._call))
        self.history.append(marking)
        return marking
