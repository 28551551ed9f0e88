"""An attacker who knows the scheme.  Threat: weights, own samples, the public claim; part compute.

The claim names the trigger family, so the attacker draws other inputs of it and trains the model to
answer them otherwise.  The secret triggers are not among them, but look alike.  Source: no paper's;
adaptive attacks in the sense of Carlini et al., *On Evaluating Adversarial Robustness*, 2019.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.decoys import PoolRows, drawn_inputs
from wmx.attacks.training.learning import Study, TrainingAttack, teacher_scores


@dataclass(frozen=True)
class AdaptiveFineTuning(TrainingAttack):
    """Fine-tune on clean samples and on self-drawn inputs of the triggers' family.

    Attributes:
        answers: of the self-drawn inputs: ``"random"``, ``"own"`` (the model's top class for each)
            or ``"common"`` (the class it gives most of them).
        drawn: how many inputs.
        per_batch: of them in every batch.
    """

    answers: Literal["random", "own", "common"] = "random"
    drawn: int = 2000
    per_batch: int = 16

    threat = "has the weights, labelled samples and the public claim; part of a training's compute"
    source = "adaptive; after Carlini et al., 2019"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Draw, fine-tune, and offer the model."""
        study = Study(self, target, folder, progress)
        inputs = drawn_inputs(target, self.drawn, "adaptive")
        rows = PoolRows(
            target.task.model_input(inputs),
            self._labels(target, inputs),
            self.per_batch,
            target.seed,
        )
        yield study.outcome(study.trained(study.training(study.stolen_weights), more=rows))

    def _labels(self, target: Target, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
        if self.answers == "random":
            rng = target.stream("adaptive", "labels")
            return rng.integers(0, target.task.classes, len(inputs))
        top: NDArray[np.int64] = teacher_scores(target, inputs).argmax(axis=1)
        if self.answers == "own":
            return top
        return np.full(len(inputs), np.bincount(top).argmax(), dtype=np.int64)
