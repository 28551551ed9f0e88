"""FTLL, FTAL, RTLL, RTAL.  Threat: weights, own labelled samples, a part of the owner's compute.

Source: Adi et al., USENIX Security 2018, section 5.  Before counting, the paper puts the owner's
last layer back in place of a retrained one, for which one needs the thief's weights.  Here the
black box, which answers with the thief's layer, is counted first, and the paper's way apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.learning import Study, TrainingAttack
from wmx.attacks.training.weights import all_but, with_parts_of


@dataclass(frozen=True)
class FineTuning(TrainingAttack):
    """Train on, all layers or the last one; from the owner's last layer or from a new one.

    Attributes:
        layers: ``"all"``, or ``"last"``: all other weights and the BatchNorm statistics stay as
            they are to the bit.
        new_head: begin with a last layer of random weights (the paper's "re-train").
    """

    layers: Literal["all", "last"] = "all"
    new_head: bool = False

    threat = "has the weights and labelled samples of their own; part of a training's compute"
    source = "Adi et al., USENIX Security 2018"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Train, and offer the model; for a new head also with the owner's head put back."""
        study = Study(self, target, folder, progress)
        weights = study.stolen_weights
        fresh = study.begin(study.training(None), target.task, steps=self.epochs)
        head = study.framework.adapter.last_layer(fresh.model, target.task.classes)
        if self.new_head:
            own = study.save(fresh.model, "fresh")
            weights = with_parts_of(weights, own, head, folder / "beheaded.safetensors")
        frozen = all_but(head, weights) if self.layers == "last" else None
        model = study.trained(study.training(weights), frozen=frozen)
        yield study.outcome(model)
        if self.new_head:
            tuned = study.save(model, "tuned")
            whole = with_parts_of(tuned, study.stolen_weights, head, folder / "whole.safetensors")
            restored = study.begin(study.training(whole), target.task, steps=self.epochs)
            yield study.outcome(restored.model, "white box, the owner's last layer put back")
