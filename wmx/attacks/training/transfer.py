"""Transfer learning.  Threat: weights, labeled samples of other classes, some training compute.

Source: Adi et al., USENIX Security 2018, section 5: the model is fine-tuned for another task.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.learning import AttackRun, TrainingAttack
from wmx.attacks.training.weights import all_but, read, with_parts_of
from wmx.training.data.dataset import LabeledData


@dataclass(frozen=True)
class TransferLearning(TrainingAttack):
    """Give the model a new last layer for other classes, and train all layers or that one.

    The data are the target's ``other_data``; if it has none, the attacker's own samples with pairs
    of classes merged.

    Attributes:
        layers: ``"all"``, or ``"last"``: all other layers are frozen, bit for bit.
    """

    layers: Literal["all", "last"] = "all"

    threat = "has the weights and labeled samples of other classes; part of a training's compute"
    source = "Adi et al., USENIX Security 2018 (transfer learning)"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Replace the last layer and train on the other classes."""
        run = AttackRun(self, target, folder, progress)
        data = target.other_data or paired_classes(target.data)
        # the target's normalization is kept, as its first layer was trained with it
        task = replace(target.task, classes=data.classes)
        fresh = run.begin(run.training(None), task, steps=self.epochs)
        head = run.framework.adapter.last_layer(fresh.model, task.classes)
        own = run.save(fresh.model, "fresh")
        body = [name for name in read(own) if name not in head]
        weights = with_parts_of(own, run.target_weights, body, folder / "body.safetensors")
        frozen = all_but(head, weights) if self.layers == "last" else None
        samples = data.x_train, data.y_train
        model = run.trained(run.training(weights), samples, task=task, frozen=frozen)
        yield run.outcome(model, task=task, test=data)


def paired_classes(data: LabeledData) -> LabeledData:
    """Return data with classes merged in pairs: 0 with 1, 2 with 3, and so on."""
    return replace(
        data, y_train=data.y_train // 2, y_test=data.y_test // 2, classes=(data.classes + 1) // 2
    )
