"""Overwriting.  Threat: knows the scheme; weights, labeled samples, some training compute.

The attacker trains a mark of their own into the model, then fine-tunes.  Both marks may verify;
release records then decide who owns the model (docs/disputes.md).  Source: the ownership piracy of
Adi et al., USENIX Security 2018, section 5.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wmx.attacks.attack import Outcome, Progress, Target
from wmx.attacks.training.decoys import DecoyRows
from wmx.attacks.training.learning import AttackRun, TrainingAttack
from wmx.protocol.keys import OwnerKey
from wmx.verification.verdict import judge
from wmx.watermark import Watermark

CREATED = "2026-01-01T00:00:00Z"  # fixed, since the labels depend on it


@dataclass(frozen=True)
class Overwriting(TrainingAttack):
    """Embed the attacker's own mark, from the same trigger family; then fine-tune.

    Attributes:
        epochs, lr: of the embedding; fine-tuning uses the same learning rate.
        per_batch: the attacker's triggers in every batch.
        clean_epochs: of fine-tuning on clean samples.
    """

    per_batch: int = 2
    clean_epochs: int = 10

    threat = "has the weights, labeled samples and wmx; part of a training's compute"
    source = "Adi et al., USENIX Security 2018 (ownership piracy)"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Return the model after overwriting and after fine-tuning, with the attacker's bits."""
        run = AttackRun(self, target, folder, progress)
        own = own_watermark(target)
        rows = DecoyRows(own.inputs, own.labels, self.per_batch, target.seed)
        training = run.training(run.target_weights)
        model = run.trained(training, more=rows)
        yield self._measured(run.outcome(model, "overwritten"), own)
        if self.clean_epochs:
            weights = run.save(model, "overwritten")
            model = run.trained(run.training(weights, epochs=self.clean_epochs))
            yield self._measured(run.outcome(model, "overwritten, then fine-tuned"), own)

    def _measured(self, outcome: Outcome, own: Watermark) -> Outcome:
        bits = judge(outcome.suspect, own).bits
        return Outcome(
            outcome.suspect,
            outcome.x_test,
            outcome.y_test,
            outcome.variant,
            {"attacker_bits": bits},
        )


def own_key(target: Target) -> OwnerKey:
    """Return the attacker's key, derived from the seed."""
    key = hashlib.sha256(f"{target.seed} overwriting key".encode()).digest()
    return OwnerKey(Ed25519PrivateKey.from_private_bytes(key))


def own_watermark(target: Target) -> Watermark:
    """Return the attacker's own claim with its triggers, derived from the seed."""
    salt = hashlib.sha256(f"{target.seed} overwriting salt".encode()).digest()
    return Watermark.for_task(
        own_key(target), target.task, generator=target.family, salt=salt, created=CREATED
    )
