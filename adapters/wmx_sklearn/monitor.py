"""``Monitor``: measures hits and bits of a fitted estimator, before it is exported."""

from typing import Any

from wmx.training.metrics import Marking, measure
from wmx.watermark import Watermark
from wmx_sklearn.export import scores


class Monitor:
    """Measures how well an estimator has learned the mark.

    This is not a verdict: that is given on the exported file (:func:`wmx.verify`).

    Attributes:
        history: all measurements so far, as :class:`Marking`.
    """

    def __init__(self, watermark: Watermark) -> None:
        self.history: list[Marking] = []
        self._watermark = watermark

    def __call__(self, estimator: Any) -> Marking:
        """Query a fitted estimator on every trigger."""
        marking = measure(self._watermark, lambda inputs: scores(estimator, inputs))
        self.history.append(marking)
        return marking
