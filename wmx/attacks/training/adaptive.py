"""An adaptive attack.  Threat: knows the scheme; weights, labeled samples, some training compute.

The attacker draws decoys, inputs of the trigger family, and trains the model to label them
differently.  The secret triggers are not among the decoys, but look alike.  Source: no paper;
adaptive attacks in the sense of Carlini et al., *On Evaluating Adversarial Robustness*, 2019.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.decoys import DecoyRows, drawn_inputs
from wmx.attacks.training.learning import AttackRun, TrainingAttack, teacher_scores


@dataclass(frozen=True)
class AdaptiveFineTuning(TrainingAttack):
    """Fine-tune on clean samples and on decoys, inputs of the trigger family.

    Attributes:
        answers: labels of the decoys: ``"random"``, ``"own"`` (the model's top class for each) or
            ``"common"`` (the top class of most decoys).
        drawn: number of decoys.
        per_batch: decoys in every batch.
    """

    answers: Literal["random", "own", "common"] = "random"
    drawn: int = 2000
    per_batch: int = 16

    threat = "has the weights, labeled samples and the public claim; part of a training's compute"
    source = "adaptive; after Carlini et al., 2019"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Draw decoys and fine-tune on them."""
        run = AttackRun(self, target, folder, progress)
        inputs = drawn_inputs(target, self.drawn, "adaptive")
        rows = DecoyRows(
            target.task.model_input(inputs),
            self._labels(target, inputs),
            self.per_batch,
            target.seed,
        )
        yield run.outcome(run.trained(run.training(run.target_weights), more=rows))

    def _labels(self, target: Target, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
        if self.answers == "random":
            rng = target.stream("adaptive", "labels")
            return rng.integers(0, target.task.classes, len(inputs))
        top: NDArray[np.int64] = teacher_scores(target, inputs).argmax(axis=1)
        if self.answers == "own":
            return top
        return np.full(len(inputs), np.bincount(top).argmax(), dtype=np.int64)
