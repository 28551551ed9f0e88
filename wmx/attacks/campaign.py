"""Running attacks one after another and measuring how much evidence of the mark remains."""

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
from wmx.attacks.attack import Attack, Need, Outcome, Target
from wmx.attacks.results import AttackResult, Measurement, Results
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.statistics.attainable import bits_of_all_hits, too_few_triggers
from wmx.suspect.suspect import Suspect
from wmx.training.checkpoint import data_digest
from wmx.verification.verdict import bits_to_ask, judge
from wmx.watermark import Watermark

MEANS_HINTS: Mapping[Need, str] = {  # by what an attack needs
    "framework": "say with --framework in which framework it trains its own network; or choose "
    "--attacks quick",
    "weights": "name the folder of a wmx embed run; of a model from a loop of your own choose "
    "--attacks quick, or extraction attacks with --framework",
}


@dataclass(frozen=True)
class Step:
    """Progress report of a running campaign.

    Attributes:
        name: of the current attack.
        number, count: its number, from 1, and the number of all attacks.
        epoch, epochs: epochs done and in all; both 0 if it does not train or has not begun.
        result: of the attack, once it has ended.
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
    """Attack a marked model and measure the bits of evidence that remain after each attack.

    Only the measurement sees the watermark; the attacks see ``target`` alone.  The results are
    saved after every attack.  A failed attack is recorded, and the campaign continues.

    Args:
        target: the model and the attacker's resources.
        watermark: the owner's.
        attacks: by name, in order.
        path: of the results, JSON.
        min_bits: required instead of the default.
        resume: keep the results in ``path`` and carry out the other attacks.
        report: called before, during and after every attack.

    Returns:
        The results of all attacks.

    Raises:
        UsageError: an attack needs more than the target offers, or ``path`` is of another model.
        CannotRunError: ``path`` exists, or the model does not verify before any attack.
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
        raise _unverified(target, watermark, results.before.bits, min_bits)
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


def _unverified(
    target: Target, watermark: Watermark, bits: float, min_bits: float | None
) -> CannotRunError:
    """Return the error for a model that bears too little of the mark to begin with."""
    needed = bits_to_ask(min_bits, trusted_timestamp=False)
    said = f"{target.model} does not verify before any attack: {bits:.0f} bits"
    n = len(watermark.labels)
    too_few = too_few_triggers(n, bits_of_all_hits(n, watermark.task), required=needed)
    if too_few is not None:
        return CannotRunError(
            f"{said}; its claim's {too_few}", hint="lower --min-bits", in_python="lower min_bits"
        )
    return CannotRunError(
        f"{said}, {needed:g} are needed",
        hint="check the claim with wmx verify, or lower --min-bits",
    )


def exists_already(path: Path) -> CannotRunError:
    """Return the error for a file of results that neither ``resume`` nor ``force`` allows."""
    return CannotRunError(
        f"{path} exists already",
        hint="continue it with --resume, replace it with --force, or choose another folder",
        in_python="continue it with resume=True, or choose another path",
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
    """Return a suspect's accuracy, 0 to 1; the highest over all feedings and readings.

    Args:
        suspect: the model to query.
        x: canonical inputs [n, *task.shape].
        y: int64 [n], in the suspect's numbering of the classes.
        task: gives shape and normalization.

    Raises:
        CannotRunError: the suspect fails on every feeding.
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
            f"{lacking[0]} needs the {attacks[lacking[0]].needs}, not only the ONNX file"
            + (f", and so do {len(lacking) - 1} more" if len(lacking) > 1 else ""),
            hint=MEANS_HINTS[attacks[lacking[0]].needs],
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
