"""Pruning, then fine-tuning.  Threat: weights, own labelled samples, part of the owner's compute.

Source: Liu, Dolan-Gavitt, Garg, *Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural
Networks*, RAID 2018; by weights as Han et al. (NeurIPS 2015), not by channels.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.graph.weight_pruning import pruned
from wmx.attacks.training.learning import Study, TrainingAttack
from wmx.attacks.training.weights import kernel_names, read
from wmx.training.weights import write_weights


@dataclass(frozen=True)
class FinePruning(TrainingAttack):
    """Set the smallest weights of all kernels together to zero, and train the others.

    Attributes:
        share: part of the weights that goes, 0 to 1, and stays zero.
    """

    epochs: int = 10
    lr: float = 0.01
    share: float = 0.9

    threat = "has the weights and labelled samples of their own; part of a training's compute"
    source = "Liu et al., RAID 2018"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Prune, fine-tune, and offer the model."""
        study = Study(self, target, folder, progress)
        weights = read(study.stolen_weights)
        names = kernel_names(weights)
        gone = dict(zip(names, pruned([weights[n] for n in names], self.share), strict=True))
        weights |= {name: np.where(gone[name], 0, weights[name]) for name in names}
        path = folder / "pruned.safetensors"
        write_weights(path, weights)
        yield study.outcome(study.trained(study.training(path), frozen=gone))
