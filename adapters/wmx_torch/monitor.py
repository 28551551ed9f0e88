"""``Monitor``: hits and bits while training, so that a mark that does not take is seen in time."""

from torch import nn

from wmx.training.metrics import Marking, measure
from wmx.watermark import Watermark
from wmx_torch.inference import scores


class Monitor:
    """Measures the mark in a model that is being trained.

    This is not a verdict: that is given on the exported file (:func:`wmx.verify`).

    Attributes:
        history: every :class:`Marking` so far.
    """

    def __init__(self, watermark: Watermark) -> None:
        self.history: list[Marking] = []
        self._watermark = watermark

    def __call__(self, model: nn.Module) -> Marking:
        """Ask ``model`` about every trigger, in evaluation mode; its own modes are restored.

        Raises:
            CannotRunError: the model does not return logits for the claim's classes.
        """
        task = self._watermark.task
        marking = measure(self._watermark, lambda inputs: scores(model, inputs, task))
        self.history.append(marking)
        return marking
