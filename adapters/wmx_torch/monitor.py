"""``Monitor``: measures hits and bits during training, to notice early if a mark is not learned."""

from torch import nn

from wmx.training.metrics import Marking, measure
from wmx.watermark import Watermark
from wmx_torch._inference import scores


class Monitor:
    """Measures how well a model has learned the mark, during training.

    This is not a verdict: that is given on the exported file (:func:`wmx.verify`).

    Attributes:
        history: all measurements so far, as :class:`Marking`.
    """

    def __init__(self, watermark: Watermark) -> None:
        self.history: list[Marking] = []
        self._watermark = watermark

    def __call__(self, model: nn.Module) -> Marking:
        """Query ``model`` on every trigger, in evaluation mode; its own modes are restored.

        Raises:
            CannotRunError: the model does not return logits for the claim's classes.
        """
        task = self._watermark.task
        marking = measure(self._watermark, lambda inputs: scores(model, inputs, task))
        self.history.append(marking)
        return marking
