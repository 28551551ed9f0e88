"""The third test: fine-tune the suspect, and measure what is left of each mark.

Adi et al. (USENIX Security 2018, section 5) found that a mark embedded during training outlives
fine-tuning and one planted later does not.  That depends on the owner's recipe
(:data:`RELIABILITY`), so the numbers are shown but name nobody.  The suspect is converted to
PyTorch and trained in a sandboxed process: the judge's samples and triggers go in, predictions
come out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import held_to
from wmx._internal.files import sha256_of
from wmx.attacks.campaign import accuracy
from wmx.disputes.party import Party
from wmx.errors import CannotRunError, IntegrityError, LimitError, SuspectDiedError, UsageError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.policy.model_files import require_one_file
from wmx.suspect.remote import ask
from wmx.suspect.sandbox.limits import GIB, Limits
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.sandbox.wire import Message
from wmx.suspect.suspect import Suspect
from wmx.training.adapter import FineTuningAdapter
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.plugins import load_adapter
from wmx.verification.selection import Selection
from wmx.verification.verdict import measure

FRAMEWORK = "torch"
# PyTorch alone reserves some GiB of address space
TUNING_LIMITS = Limits(seconds=3600.0, cpu_seconds=4 * 3600, memory_bytes=16 * GIB)
RELIABILITY = (
    "of 12 stolen models marked with the recipe robust (a thief's mark planted at learning rate "
    "0.01 or 0.05, then fine-tuned), the owner's mark kept more of its bits in 11; of 10 with "
    "other recipes and higher rates, the thief's did in 7"
)
MOST_LOST = 0.05  # of accuracy; a model that loses more is broken, and proves nothing
Report: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Kept:
    """What fine-tuning left of a mark.

    Attributes:
        before, after: bits of evidence in the suspect, and in the fine-tuned model.
        hits_before, hits_after: triggers whose label is the top class.
        n: number of triggers.
    """

    before: float
    after: float
    hits_before: int
    hits_after: int
    n: int

    @property
    def part(self) -> float:
        """The share of the bits that is left; 0 if there were none."""
        return max(0.0, self.after) / self.before if self.before > 0 else 0.0


@dataclass(frozen=True)
class FineTuned:
    """What the test showed.

    Attributes:
        kept: of each mark, by the party's name.
        accuracy_before, accuracy_after: on the test part of the data, 0 to 1.
        samples: trained on.
        training: the settings.
        failure: why the test failed; the rest is then empty.
    """

    kept: dict[str, Kept]
    accuracy_before: float
    accuracy_after: float
    samples: int
    training: Training
    failure: str | None = None

    @property
    def kept_most(self) -> str | None:
        """Whose mark kept the largest share of its bits; ``None`` if two kept the same."""
        ranked = sorted(self.kept, key=lambda name: self.kept[name].part, reverse=True)
        if not ranked or len({self.kept[name].part for name in ranked[:2]}) < 2:
            return None
        return ranked[0]


def default_training(epochs: int = 20, lr: float = 0.003, seed: int = 0) -> Training:
    """Return the settings: SGD at a constant rate, batches of 64, as in ``wmx attack``.

    Args:
        epochs: how many.
        lr: learning rate.
        seed: of the order of the samples.
    """
    return Training(
        epochs=epochs, batch_size=64, lr=lr, schedule="constant", seed=seed, device="cpu"
    )


def fine_tune(
    suspect: Suspect,
    parties: Sequence[Party],
    samples: LabeledData,
    training: Training,
    *,
    limits: Limits = TUNING_LIMITS,
    report: Report | None = None,
) -> FineTuned:
    """Fine-tune a suspect, and test every claim on it before and after.

    Args:
        suspect: an ONNX file, opened; it is read again.
        parties: whose claims verify on it.
        samples: labeled data of the suspect's task: its training set is trained on, and accuracy is
            measured on its test set.
        training: the settings.
        limits: of time and memory for the process that trains.
        report: called with (epochs done, of how many).

    Returns:
        what is left of each mark, or why the test failed.

    Raises:
        UsageError: the data are of another kind, shape or number of classes than the claims.
        IntegrityError: the file is no longer the one that was opened.
        SuspectDiedError: the suspect's own process crashed (not the one that trains).
    """
    model = suspect.reference
    _require_unchanged(model, sha256_of(model.name, "model"))
    task = _task_of_the_data(suspect, parties, samples)
    before = {party.name: _hits_and_bits(suspect, party) for party in parties}
    accuracy_before = accuracy(suspect, samples.x_test, samples.y_test, task)
    try:
        adapter = load_adapter(FRAMEWORK)
        assert isinstance(adapter, FineTuningAdapter)
        with held_to(limits.budget()), Sandbox.start(limits, adapter.TUNING_CHILD) as sandbox:
            require_one_file(model.name, model.external, "fine-tuning")
            tuned = _Tuned.open(model.name, "cpu", sandbox)
            _require_unchanged(model, tuned.reference.sha256)
            _train(sandbox, tuned, task, samples, training, report)
            accuracy_after = accuracy(tuned, samples.x_test, samples.y_test, task)
            if accuracy_after < accuracy_before - MOST_LOST:
                raise CannotRunError(
                    f"training at rate {training.learning_rate:g} broke the model: "
                    f"{100 * accuracy_before:.1f} % of the test samples were right before, "
                    f"{100 * accuracy_after:.1f} % after",
                    hint="use a lower --lr",
                )
            after = {party.name: _hits_and_bits(tuned, party) for party in parties}
    except (CannotRunError, SuspectDiedError, LimitError) as error:
        reason = str(error) + (f" ({error.hint})" if error.hint else "")
        return FineTuned({}, 0.0, 0.0, 0, training, reason)
    kept = {
        party.name: Kept(
            before=before[party.name][1],
            after=after[party.name][1],
            hits_before=before[party.name][0],
            hits_after=after[party.name][0],
            n=len(party.trigger_slice),
        )
        for party in parties
    }
    return FineTuned(
        kept,
        accuracy_before,
        accuracy_after,
        len(samples.y_train),
        training,
    )


class _Tuned(OnnxFile):
    """A model that is trained in its process; if it were opened again, it would be untrained."""

    def reopened(self) -> Self:
        """Return itself."""
        return self


def _train(
    sandbox: Sandbox,
    tuned: OnnxFile,
    task: Task,
    samples: LabeledData,
    training: Training,
    report: Report | None,
) -> None:
    feeding = tuned.feedings(task)[0]
    if feeding.dtype != np.float32 and task.kind != "tokens":
        raise CannotRunError(f"the model takes {feeding.dtype}, expected float32 to fine-tune it")
    if not feeding.is_plain(task):
        raise CannotRunError(
            f"the model is fed as {feeding.name}, expected a single input of the task's own shape "
            "to fine-tune it"
        )
    batch = feeding.batch or training.batch_size
    settings: dict[str, Any] = {**training.settings(), "device": "cpu", "batch_size": batch}
    fields = {
        "task": task.to_json(),
        "training": settings,
        "layout": feeding.layout.axes,
        "shape": list(feeding.layout.shape),
        "input": feeding.input,
        "dtype": feeding.dtype.name,
        "batch": feeding.batch,
    }
    arrays: tuple[NDArray[Any], ...] = (samples.x_train, samples.y_train)
    ask(sandbox, Message("begin", fields, arrays), "begun")
    for epoch in range(training.epochs):
        ask(sandbox, Message("epoch", {"epoch": epoch}), "trained")
        if report is not None:
            report(epoch + 1, training.epochs)


def _require_unchanged(model: ModelReference, sha256: str | None) -> None:
    if sha256 != model.sha256:
        raise IntegrityError(f"{model.name} was changed while it was being read")


def _hits_and_bits(model: Suspect, party: Party) -> tuple[int, float]:
    """Measure as in the dispute, but without the penalty for tries, which is equal for both.

    All probes are tried, whatever the plain ones give: a mark must not seem to keep more only
    because it needed shifts before and does not now.
    """
    selection = Selection(starts=party.selection.starts)
    verdict = measure(model, party.trigger_slice, required=float("inf"), selection=selection)
    return verdict.hits, verdict.bits


def _task_of_the_data(suspect: Suspect, parties: Sequence[Party], samples: LabeledData) -> Task:
    """Return the claims' task; of several normalizations the one with the best accuracy."""
    tasks = {party.trigger_slice.task: None for party in parties}
    for task in tasks:
        found = (samples.kind, samples.x_train.shape[1:], samples.classes)
        if found != (task.kind, task.shape, task.classes):
            raise UsageError(
                f"{samples.name} is {found[0]} {found[1]} of {found[2]} classes, and the claims "
                f"are for {task.kind} {task.shape} of {task.classes}",
                hint="give labeled data of the suspect's own task",
            )
    return max(tasks, key=lambda task: accuracy(suspect, samples.x_test, samples.y_test, task))
