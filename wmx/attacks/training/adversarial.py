"""Adversarial fine-tuning.  Threat: weights, labeled samples, several trainings' compute.

Source: Madry et al., *Towards Deep Learning Models Resistant to Adversarial Attacks*, ICLR 2018, as
a removal attack in Lukas et al., S&P 2022.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.inputs.preprocessed import unit_images
from wmx.attacks.training.learning import AttackRun, Samples, TrainingAttack
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.training.adapter import Learner
from wmx.training.loop import EVALUATION_BATCH


@dataclass(frozen=True)
class AdversarialFineTuning(TrainingAttack):
    """Fine-tune on adversarial examples of the attacker's samples.

    They are computed anew at the start of every epoch.

    Attributes:
        epsilon: largest change of a pixel; pixels are 0 to 1.
        pgd_steps: steps of projected gradient descent, each of ``2.5 epsilon / pgd_steps``.
    """

    lr: float = 0.01
    epsilon: float = 0.1
    pgd_steps: int = 7

    threat = "has the weights and labeled samples; several times a training's compute"
    source = "Madry et al., ICLR 2018; Lukas et al., S&P 2022"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Fine-tune on adversarial examples."""
        if target.task.kind != "image":
            raise CannotRunError(f"this attack is for images, and the data are {target.task.kind}")
        run = AttackRun(self, target, folder, progress)
        data = target.data

        def renewed(learner: Learner) -> Samples:
            return self.moved(learner, data.x_train, data.y_train, target.task), data.y_train

        yield run.outcome(run.trained(run.training(run.target_weights), renewed=renewed))

    def moved(
        self, learner: Learner, x: NDArray[Any], y: NDArray[np.int64], task: Task
    ) -> NDArray[np.float32]:
        """Return adversarial examples, float32 [n, H, W, C] pixels 0 to 255.

        Args:
            learner: the network to fool.
            x: canonical images [n, H, W, C].
            y: their classes, int64 [n].
            task: gives the normalization.
        """
        parts = [
            self._descended(
                learner, x[at : at + EVALUATION_BATCH], y[at : at + EVALUATION_BATCH], task
            )
            for at in range(0, len(x), EVALUATION_BATCH)
        ]
        return np.concatenate(parts)

    def _descended(
        self, learner: Learner, x: NDArray[Any], y: NDArray[np.int64], task: Task
    ) -> NDArray[np.float32]:
        clean = unit_images(x)
        low, high = (np.clip(clean + sign * self.epsilon, 0, 1) for sign in (-1, 1))
        images = clean
        for _ in range(self.pgd_steps):
            inputs = task.model_input(images * np.float32(255))
            step = np.sign(learner.input_gradient(inputs, y)) * (
                2.5 * self.epsilon / self.pgd_steps
            )
            images = np.clip(images + step, low, high).astype(np.float32)
        return images * np.float32(255)
