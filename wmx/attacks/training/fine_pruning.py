"""Fine-pruning.  Threat: weights, labeled samples, some of the training compute.

Source: Liu, Dolan-Gavitt, Garg, *Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural
Networks*, RAID 2018; pruning single weights as Han et al. (NeurIPS 2015), not channels.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.graph.weight_pruning import pruned
from wmx.attacks.training.learning import AttackRun, TrainingAttack
from wmx.attacks.training.weights import kernel_names, read
from wmx.training.weights import write_weights


@dataclass(frozen=True)
class FinePruning(TrainingAttack):
    """Prune the weights of smallest magnitude over all kernels, then fine-tune the others.

    Attributes:
        share: fraction of weights to prune, 0 to 1; they stay zero.
    """

    epochs: int = 10
    lr: float = 0.01
    share: float = 0.9

    threat = "has the weights and labeled samples of their own; part of a training's compute"
    source = "Liu et al., RAID 2018"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Prune, then fine-tune."""
        run = AttackRun(self, target, folder, progress)
        weights = read(run.target_weights)
        names = kernel_names(weights)
        gone = dict(zip(names, pruned([weights[n] for n in names], self.share), strict=True))
        weights |= {name: np.where(gone[name], 0, weights[name]) for name in names}
        path = folder / "pruned.safetensors"
        write_weights(path, weights)
        yield run.outcome(run.trained(run.training(path), frozen=gone))
