"""``Monitor``: hits and bits while training, so that a mark that does not take is seen in time."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from wmx.answers import Answers
from wmx.statistics import count_hits, evidence_bits
from wmx.watermark import Watermark
from wmx_torch.inference import (
    as_model_input,
    evaluation_mode,
    plain_module,
    scores_of,
)

BATCH = 256


@dataclass(frozen=True)
class Marking:
    """How far a model has learned the mark.

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
        inner = plain_module(model)
        task, labels = self._watermark.task, self._watermark.labels
        inputs = self._watermark.inputs
        with evaluation_mode(inner), torch.no_grad():
            scores = [
                scores_of(
                    inner(as_model_input(inputs[at : at + BATCH], task, inner)),
                    task.classes,
                )
                .double()
                .cpu()
                .numpy()
                for at in range(0, len(labels), BATCH)
            ]
        answers = Answers.from_scores(np.concatenate(scores))
        marking = Marking(
            hits=count_hits(answers, labels),
            n=len(labels),
            bits=evidence_bits(answers, labels, task.classes),
        )
        self.history.append(marking)
        return marking
