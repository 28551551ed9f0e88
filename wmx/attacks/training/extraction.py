"""Distillation and model extraction.  Threat: black-box queries of the attacker's choice.

A surrogate network is trained on the model's predictions.  Sources: Hinton, Vinyals, Dean,
*Distilling the Knowledge in a Neural Network*, 2015 (temperature 1); Tramer et al., *Stealing
Machine Learning Models via Prediction APIs*, USENIX Security 2016; Orekondy, Schiele, Fritz,
*Knockoff Nets*, CVPR 2019.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.learning import AttackRun, TrainingAttack, teacher_scores
from wmx.training.config import Schedule

OTHER_NETWORK = {"cnn": "mlp", "mlp": "cnn"}


@dataclass(frozen=True)
class Extraction(TrainingAttack):
    """Train a surrogate network on the model's predictions.

    Attributes:
        labels: ``"soft"``, the probabilities of all classes, or ``"hard"``, the top class alone.
        inputs: ``"own"``, the attacker's samples, or ``"queries"``, inputs of the owner's training
            set: the best queries possible.
        architecture: of the surrogate: ``"same"``, or ``"other"`` for another kind of network.
    """

    epochs: int = 30
    lr: float = 0.1
    batch_size: int = 100
    schedule: Schedule = "cosine"
    labels: Literal["soft", "hard"] = "soft"
    inputs: Literal["own", "queries"] = "own"
    architecture: Literal["same", "other"] = "same"

    threat = "may query the model, with inputs of their own; a whole training's compute"
    source = "Hinton et al., 2015; Tramer et al., USENIX Security 2016; Orekondy et al., CVPR 2019"
    needs = "framework"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Query the model and train a surrogate on its predictions."""
        run = AttackRun(self, target, folder, progress)
        x = target.queries if self.inputs == "queries" else target.data.x_train
        scores = teacher_scores(target, x)
        y = probabilities(scores) if self.labels == "soft" else scores.argmax(axis=1)
        model = run.framework.model
        if self.architecture == "other":
            model = OTHER_NETWORK.get(model, "cnn" if target.task.kind == "image" else "mlp")
        training = run.training(None, model=model)
        yield run.outcome(run.trained(training, (x, y)))


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    """Convert scores [n, K] to probabilities: by softmax, unless they are probabilities already."""
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return scores.astype(np.float32)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
