"""Transfer learning.  Threat: weights, own samples of other classes, part of the owner's compute.

Source: Adi et al., USENIX Security 2018, section 5: the stolen body learns another task.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.learning import Study, TrainingAttack
from wmx.attacks.training.weights import all_but, read, with_parts_of
from wmx.training.data.dataset import LabelledData


@dataclass(frozen=True)
class TransferLearning(TrainingAttack):
    """Give the model a new last layer for other classes, and train all layers or that one.

    The data of the other classes are the target's; where it has none, the attacker's own samples
    with two neighbouring classes made one.

    Attributes:
        layers: ``"all"``, or ``"last"``: the stolen body stays as it is to the bit.
    """

    layers: Literal["all", "last"] = "all"

    threat = "has the weights and labelled samples of other classes; part of a training's compute"
    source = "Adi et al., USENIX Security 2018 (transfer learning)"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Train, and offer the model."""
        study = Study(self, target, folder, progress)
        data = target.other_data or paired_classes(target.data)
        # the model keeps the stolen one's normalisation: that is what its first layer knows
        task = replace(target.task, classes=data.classes)
        fresh = study.begin(study.training(None), task, steps=self.epochs)
        head = study.framework.adapter.last_layer(fresh.model, task.classes)
        own = study.save(fresh.model, "fresh")
        body = [name for name in read(own) if name not in head]
        weights = with_parts_of(own, study.stolen_weights, body, folder / "body.safetensors")
        frozen = all_but(head, weights) if self.layers == "last" else None
        samples = data.x_train, data.y_train
        model = study.trained(study.training(weights), samples, task=task, frozen=frozen)
        yield study.outcome(model, task=task, test=data)


def paired_classes(data: LabelledData) -> LabelledData:
    """Return data with classes 0 and 1 made one, 2 and 3, and so on."""
    return replace(
        data, y_train=data.y_train // 2, y_test=data.y_test // 2, classes=(data.classes + 1) // 2
    )
