"""Measuring, during training, how well a model has learned the mark."""

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
    """How well a model has learned the mark; the verdict is given on the exported file only.

    Attributes:
        hits: number of triggers whose label is the top class.
        n: number of triggers.
        bits: of evidence, for a single probe.
    """

    hits: int
    n: int
    bits: float

    def __str__(self) -> str:
        return f"{self.hits} of {self.n} triggers, {self.bits:.1f} bits"

    def logs(self) -> dict[str, float]:
        """Return hits and bits under the names used in the logs of every training framework."""
        return {"wmx_hits": self.hits, "wmx_bits": self.bits}


def measure(
    watermark: Watermark, scores: Callable[[NDArray[Any]], NDArray[Any]], batch: int = BATCH
) -> Marking:
    """Query a model on every trigger and return its hits and bits.

    Args:
        watermark: the claim and its triggers.
        scores: the model in inference mode: inputs [k, *task.shape], channels last, to logits
            [k, classes].
        batch: triggers per call; the last call is padded to the same size.
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
