"""How far a model that is being trained has learned the mark."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.statistics.experts import count_hits, evidence_bits
from wmx.statistics.predictions import Predictions
from wmx.watermark import Watermark

BATCH = 256


@dataclass(frozen=True)
class Marking:
    """How far a model has learned the mark.  Not a verdict: that is given on the exported file.

    Attributes:
        hits: triggers whose label is the top class.
        n: of how many.
        bits: evidence, fed and read in one way.
    """

    hits: int
    n: int
    bits: float

    def __str__(self) -> str:
        return f"{self.hits} of {self.n} triggers, {self.bits:.1f} bits"

    def logs(self) -> dict[str, float]:
        """Return hits and bits under the names they have in the logs of every training tool."""
        return {"wmx_hits": self.hits, "wmx_bits": self.bits}


def measure(
    watermark: Watermark, scores: Callable[[NDArray[Any]], NDArray[Any]], batch: int = BATCH
) -> Marking:
    """Ask a model about every trigger.

    Args:
        watermark: the claim and its triggers.
        scores: the model in inference mode: inputs [k, *task.shape], channels last, to logits
            [k, classes].
        batch: so many triggers at a time, and always as many: the last ones are filled up.
    """
    inputs, labels = watermark.inputs, watermark.labels
    batch = min(batch, len(labels))
    given = [
        _in_full_batch(scores, inputs[at : at + batch], batch)
        for at in range(0, len(labels), batch)
    ]
    predictions = Predictions.from_scores(np.concatenate(given).astype(np.float64))
    return Marking(
        hits=count_hits(predictions, labels),
        n=len(labels),
        bits=evidence_bits(predictions, labels, watermark.task.classes),
    )


def _in_full_batch(
    scores: Callable[[NDArray[Any]], NDArray[Any]], inputs: NDArray[Any], batch: int
) -> NDArray[Any]:
    missing = batch - len(inputs)
    filled = np.concatenate([inputs, inputs[:1].repeat(missing, axis=0)]) if missing else inputs
    return scores(filled)[: len(inputs)]
