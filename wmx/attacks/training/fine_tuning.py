"""Fine-tuning (FTLL, FTAL, RTLL, RTAL).  Threat: weights, labeled samples, some training compute.

Source: Adi et al., USENIX Security 2018, section 5.  Before verifying a model with a retrained last
layer, the paper puts the owner's last layer back, which takes the attacker's weights.  Here the
model is first measured as a black box, as it is, and then separately as in the paper.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.learning import AttackRun, TrainingAttack
from wmx.attacks.training.weights import all_but, with_parts_of


@dataclass(frozen=True)
class FineTuning(TrainingAttack):
    """Fine-tune all layers or the last one, from the owner's last layer or a random one.

    Attributes:
        layers: ``"all"``, or ``"last"``: all other weights and the BatchNorm statistics are
            frozen, bit for bit.
        new_head: start with a randomly initialized last layer (the paper's "re-train").
    """

    layers: Literal["all", "last"] = "all"
    new_head: bool = False

    threat = "has the weights and labeled samples of their own; part of a training's compute"
    source = "Adi et al., USENIX Security 2018"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Fine-tune; with a new head, also return the model with the owner's head restored."""
        run = AttackRun(self, target, folder, progress)
        weights = run.target_weights
        fresh = run.begin(run.training(None), target.task, steps=self.epochs)
        head = run.framework.adapter.last_layer(fresh.model, target.task.classes)
        if self.new_head:
            own = run.save(fresh.model, "fresh")
            weights = with_parts_of(weights, own, head, folder / "beheaded.safetensors")
        frozen = all_but(head, weights) if self.layers == "last" else None
        model = run.trained(run.training(weights), frozen=frozen)
        yield run.outcome(model)
        if self.new_head:
            tuned = run.save(model, "tuned")
            whole = with_parts_of(tuned, run.target_weights, head, folder / "whole.safetensors")
            restored = run.begin(run.training(whole), target.task, steps=self.epochs)
            yield run.outcome(restored.model, "white box, the owner's last layer put back")
