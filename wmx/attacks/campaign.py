"""Running attacks one after the other and counting what is left of the mark."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx._internal.files import read_bytes
from wmx.attacks.attack import Attack, Outcome, Target
from wmx.attacks.results import AttackResult, Measurement, Results
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.suspect.suspect import Suspect
from wmx.training.checkpoint import data_digest
from wmx.verification.verdict import judge
from wmx.watermark import Watermark


@dataclass(frozen=True)
class Step:
    """What a running campaign tells.

    Attributes:
        name: of the attack that runs.
        number, count: which attack, from 1, of how many.
        epoch, epochs: how far its training is; 0 of 0 where it does not train or has not begun.
        result: of the attack, when it has ended.
    """

    name: str
    number: int
    count: int
    epoch: int = 0
    epochs: int = 0
    result: AttackResult | None = None


Report: TypeAlias = Callable[[Step], None]


def attack_model(
    target: Target,
    watermark: Watermark,
    attacks: Mapping[str, Attack],
    path: Path,
    *,
    min_bits: float | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> Results:
    """Carry out attacks on a marked model and count the bits that are left after each.

    Only the counting sees the watermark; the attacks see ``target`` alone.  The file is written
    after every attack.  An attack that cannot be carried out is noted, and the next one begins.

    Args:
        target: the model and what the attacker has.
        watermark: the owner's.
        attacks: by name, in order.
        path: of the results, JSON.
        min_bits: asked for instead of the default.
        resume: keep what ``path`` holds of these attacks, and carry out the rest.
        report: called before, during and after every attack.

    Raises:
        UsageError: an attack needs what the target does not give, or ``path`` is of another model.
        CannotRunError: ``path`` exists, or the model does not carry the mark in the first place.
    """
    _require_means(attacks, target)
    about = _about(target, watermark, min_bits)
    if path.exists() and not resume:
        raise exists_already(path)
    if resume and path.exists():
        results = Results.load(path, about)
    else:
        shipped = target.outcome(target.opened())
        results = Results(about, _measured(shipped, target.task, watermark, min_bits), [])
    if not results.before.verified:
        raise CannotRunError(
            f"{target.model} does not carry this mark before any attack: "
            f"{results.before.bits:.0f} bits",
            hint="is this the claim of that model? wmx verify; or lower --min-bits",
        )
    results.save(path)
    for number, (name, attack) in enumerate(attacks.items(), 1):
        if results.done(name, attack.settings()):
            continue

        def tell(epoch: int = 0, epochs: int = 0, result: AttackResult | None = None) -> None:
            if report is not None:
                report(Step(name, number, len(attacks), epoch, epochs, result))  # noqa: B023

        tell()
        result = _carried_out(name, attack, target, watermark, min_bits, tell)
        results.add(result)
        results.save(path)
        tell(result=result)
    return results


def exists_already(path: Path) -> CannotRunError:
    """Return the error of a campaign that finds results of another."""
    return CannotRunError(
        f"{path} exists already", hint="--resume to go on with it, or --force to replace it"
    )


def _carried_out(
    name: str,
    attack: Attack,
    target: Target,
    watermark: Watermark,
    min_bits: float | None,
    tell: Callable[[int, int], None],
) -> AttackResult:
    began = time.monotonic()
    outcomes: tuple[Measurement, ...] = ()
    failure = None
    with tempfile.TemporaryDirectory(prefix="wmx-attack-") as folder:
        try:
            outcomes = tuple(
                _measured(outcome, target.task, watermark, min_bits)
                for outcome in attack.run(target, Path(folder), tell)
            )
        except (CannotRunError, UsageError) as error:
            failure = str(error) + (f" ({error.hint})" if error.hint else "")
    return AttackResult(
        name=name,
        threat=attack.threat,
        source=attack.source,
        settings=attack.settings(),
        seconds=round(time.monotonic() - began, 1),
        outcomes=() if failure else outcomes,
        error=failure,
    )


def accuracy(suspect: Suspect, x: NDArray[Any], y: NDArray[np.int64], task: Task) -> float:
    """Return the part of inputs whose top class is the label; in the best way of feeding it.

    Args:
        suspect: what is asked.
        x: canonical inputs [n, *task.shape].
        y: int64 [n], as the suspect numbers its classes.
        task: gives shape and normalisation.

    Raises:
        CannotRunError: the suspect takes the inputs in no way.
    """
    found = []
    failures = []
    for feeding in suspect.feedings(task):
        try:
            predictions = suspect.predictions(feeding, x, task)
        except CannotRunError as error:
            failures.append(error)
        else:
            found += [float((output.top == y).mean()) for output in predictions.values()]
    if not found:
        raise failures[0]
    return max(found)


def _measured(
    outcome: Outcome, task: Task, watermark: Watermark, min_bits: float | None
) -> Measurement:
    verdict = judge(outcome.suspect, watermark, min_bits=min_bits)
    return Measurement(
        accuracy=accuracy(outcome.suspect, outcome.x_test, outcome.y_test, task),
        hits=verdict.hits,
        n=verdict.n,
        bits=verdict.bits,
        verified=verdict.verified,
        variant=outcome.variant,
        notes=dict(outcome.notes),
    )


def _require_means(attacks: Mapping[str, Attack], target: Target) -> None:
    lacking = [name for name, attack in attacks.items() if attack.needs not in target.gives]
    if lacking:
        raise UsageError(
            f"{lacking[0]} needs the {attacks[lacking[0]].needs} and not the ONNX file alone"
            + (f", and so do {len(lacking) - 1} more" if len(lacking) > 1 else ""),
            hint="name the folder of a wmx embed run; or choose --attacks quick",
        )


def _about(target: Target, watermark: Watermark, min_bits: float | None) -> dict[str, Any]:
    framework = target.framework
    return {
        "model_sha256": hashlib.sha256(read_bytes(target.model, "model")).hexdigest(),
        "claim": watermark.claim.digest,
        "data": data_digest(target.data),
        "attacker_samples": len(target.data.y_train),
        "queries": len(target.queries),
        "test_samples": len(target.data.y_test),
        "seed": target.seed,
        "framework": framework and framework.adapter.FRAMEWORK,
        "architecture": framework and framework.model,
        "min_bits": min_bits,
    }
