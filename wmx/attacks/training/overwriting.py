"""Overwriting.  Threat: weights, own labelled samples, the scheme; part of the owner's compute.

The attacker trains a mark of their own into the model, then fine-tunes.  Both marks may verify:
whose the model is, release records decide (docs/disputes.md).  Source: the ownership piracy of Adi
et al., USENIX Security 2018, section 5.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.decoys import PoolRows
from wmx.attacks.training.learning import Study, TrainingAttack
from wmx.protocol.keys import OwnerKey
from wmx.verification.verdict import judge
from wmx.watermark import Watermark

CREATED = "2026-01-01T00:00:00Z"  # the labels hang on it, as on all of a claim


@dataclass(frozen=True)
class Overwriting(TrainingAttack):
    """Embed a claim of the attacker's own, of the same family; then fine-tune on clean samples.

    Attributes:
        epochs, lr: of the embedding; fine-tuning has the same rate.
        per_batch: the attacker's triggers in every batch.
        clean_epochs: of the fine-tuning.
    """

    per_batch: int = 2
    clean_epochs: int = 10

    threat = "has the weights, labelled samples and wmx; part of a training's compute"
    source = "Adi et al., USENIX Security 2018 (ownership piracy)"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Overwrite, offer the model, fine-tune, offer it again; note the attacker's bits."""
        study = Study(self, target, folder, progress)
        thief = own_watermark(target)
        rows = PoolRows(thief.inputs, thief.labels, self.per_batch, target.seed)
        training = study.training(study.stolen_weights)
        model = study.trained(training, more=rows)
        yield self._measured(study.outcome(model, "overwritten"), thief)
        if self.clean_epochs:
            weights = study.save(model, "overwritten")
            model = study.trained(study.training(weights, epochs=self.clean_epochs))
            yield self._measured(study.outcome(model, "overwritten, then fine-tuned"), thief)

    def _measured(self, outcome: Outcome, thief: Watermark) -> Outcome:
        bits = judge(outcome.suspect, thief).bits
        return Outcome(
            outcome.suspect,
            outcome.x_test,
            outcome.y_test,
            outcome.variant,
            {"attacker_bits": bits},
        )


def own_key(target: Target) -> OwnerKey:
    """Return the attacker's key; the same for the same seed."""
    key = hashlib.sha256(f"{target.seed} overwriting key".encode()).digest()
    return OwnerKey(Ed25519PrivateKey.from_private_bytes(key))


def own_watermark(target: Target) -> Watermark:
    """Return a claim of the attacker's own with its triggers; the same for the same seed."""
    salt = hashlib.sha256(f"{target.seed} overwriting salt".encode()).digest()
    return Watermark.for_task(
        own_key(target), target.task, generator=target.family, salt=salt, created=CREATED
    )
