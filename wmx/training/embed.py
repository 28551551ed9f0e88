"""``wmx embed`` end to end: make the claim, train, export, and verify the exported file."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.claim import Claim
from wmx.protocol.keys import OwnerKey
from wmx.protocol.task import Task
from wmx.suspect.suspect import open_suspect
from wmx.training.adapter import FittedAdapter, StepwiseAdapter
from wmx.training.config import Report, Training
from wmx.training.data.dataset import LabeledData
from wmx.training.loop import check, evaluate, fit
from wmx.training.plugins import load_adapter
from wmx.training.recipe import recipe_named
from wmx.training.run_dir import RunFiles
from wmx.training.second_choice import representatives
from wmx.triggers import Generator
from wmx.triggers.folder import Folder
from wmx.triggers.trigger_file import save_images
from wmx.verification.verdict import Verdict, verify
from wmx.watermark import FromSecret, Watermark, default_trigger_count

# settings of a training by epochs, which estimators that are fitted in one go have no use for
WITHOUT_EPOCHS = (
    *("epochs", "batch_size", "optimizer", "lr", "schedule", "weight_decay", "recipe"),
    "pretrained",
)


@dataclass(frozen=True)
class Embedded:
    """The outcome of :func:`embed`.

    Attributes:
        watermark: the claim with its triggers.
        files: paths of everything written.
        accuracy: of the model on the test set, 0 to 1.
        verdict: of verifying the exported file.
    """

    watermark: Watermark
    files: RunFiles
    accuracy: float
    verdict: Verdict


def embed(
    owner: OwnerKey,
    data: LabeledData,
    out: str | Path,
    *,
    training: Training | None = None,
    framework: str = "torch",
    n: int | None = None,
    generator: Generator | None = None,
    note: str = "",
    resume: bool = False,
    force: bool = False,
    report: Report | None = None,
) -> Embedded:
    """Make a claim, train a model that carries its mark, export it, and verify the file.

    >>> from wmx import OwnerKey, embed
    >>> from wmx.training import Training, load_data
    >>> training = Training(model="mlp", epochs=2)
    >>> embedded = embed(OwnerKey.generate(), load_data("digits"), "out", training=training)
    >>> embedded.files.model.name
    'model.onnx'

    Args:
        owner: the owner key.
        data: training and test set.
        out: folder for the files; created if missing.
        training: the settings.
        framework: whose adapter trains.
        n: number of triggers; the protocol's default if ``None``.
        generator: trigger family; one that suits recipe and data if ``None``.
        note: free text for the public claim.
        resume: continue the interrupted run in ``out``.  Its claim is kept, so ``n``,
            ``generator`` and ``note`` are ignored.
        force: replace the files of an earlier run in ``out``.  They stay until the new run is
            complete, which is written to a folder below ``out`` (:mod:`wmx._internal.file_sets`).
        report: called after every epoch.

    Raises:
        CannotRunError: ``out`` holds a run already, or training or export failed.
        UsageError: the arguments contradict each other, or differ from those of the resumed run.
        IntegrityError: the resumed run's claim belongs to another owner key.
    """
    training = training or Training()
    adapter = load_adapter(framework)
    files = RunFiles(Path(out))
    if resume:
        _check(adapter, data, data.task, training, resume=True)
    else:
        family = _generator(training, data, n, generator)
        watermark = Watermark.for_task(owner, data.task, n=n, generator=family, note=note)
        _check(adapter, data, watermark.task, training, resume=False)
        _require_free(files, force)
    with files.written(resume=resume) as target:
        folder_is_new = not target.folder.exists()
        if resume:
            watermark = _claimed(target, owner, data)
        else:
            _write_claim(target, watermark)
        try:
            model = _trained(adapter, data, watermark, training, target, resume, report)
            adapter.export(model, target.model, watermark, force=resume)
        except BaseException:  # KeyboardInterrupt too
            if not target.checkpoint.exists():  # nothing was trained under this claim
                target.remove()
                if folder_is_new:
                    with contextlib.suppress(OSError):  # not empty: another program wrote there
                        target.folder.rmdir()
            raise
    accuracy = evaluate(adapter, model, data.x_test, data.y_test, watermark.task)
    verdict = verify(open_suspect(files.model, "cpu", own=True), watermark)
    return Embedded(watermark, files, accuracy, verdict)


def train_unmarked(
    data: LabeledData,
    out: str | Path,
    *,
    training: Training,
    framework: str = "torch",
    report: Report | None = None,
) -> float:
    """Train the same model without a watermark and export it.

    Args:
        data: training and test set.
        out: the ONNX file.
        training: the settings.
        framework: whose adapter trains.
        report: called after every epoch.

    Returns:
        Its accuracy on the test set, 0 to 1.
    """
    adapter = load_adapter(framework)
    if isinstance(adapter, FittedAdapter):
        model = adapter.fit_whole(data, data.task, None, training)
    else:
        model = fit(adapter, data, data.task, None, training, report=report)
    adapter.export(model, Path(out), data.task)
    return evaluate(adapter, model, data.x_test, data.y_test, data.task)


def _check(
    adapter: StepwiseAdapter | FittedAdapter,
    data: LabeledData,
    task: Task,
    training: Training,
    *,
    resume: bool,
) -> None:
    """Raise the errors of a doomed training before anything is written."""
    if not isinstance(adapter, FittedAdapter):
        if not resume:
            check(adapter, data, task, training)
        return
    if resume:
        raise UsageError(
            f"a run of {adapter.FRAMEWORK} has nothing to resume: it is fitted in one call",
            hint="start over with --force",
            in_python="start over with force=True",
        )
    ignored = [
        name
        for name in WITHOUT_EPOCHS
        if getattr(training, name) != getattr(Training, name)  # its default
    ]
    if ignored:
        raise UsageError(
            f"{adapter.FRAMEWORK} is fitted in one call, and does not use {', '.join(ignored)}",
            hint="leave that out; put settings of an estimator into a --model "
            "package.module:callable of yours",
        )
    adapter.build(task, training)


def _trained(
    adapter: StepwiseAdapter | FittedAdapter,
    data: LabeledData,
    watermark: Watermark,
    training: Training,
    files: RunFiles,
    resume: bool,
    report: Report | None,
) -> Any:
    if isinstance(adapter, FittedAdapter):
        return adapter.fit_whole(data, watermark.task, watermark, training)
    model = fit(
        adapter,
        data,
        watermark.task,
        watermark,
        training,
        checkpoint=files.checkpoint,
        resume=resume,
        report=report,
    )
    adapter.save_weights(files.weights, model, force=resume)
    return model


def _generator(
    training: Training, data: LabeledData, n: int | None, given: Generator | None
) -> Generator | FromSecret | None:
    """Return the trigger family: the caller's, the recipe's, or the one made from the data."""
    if not recipe_named(training.recipe).second:
        return given or data.trigger_generator()
    if given is not None:
        raise UsageError(
            f"the recipe {training.recipe} chooses its triggers from the training set",
            hint="omit the trigger images, or choose another recipe",
        )
    count = default_trigger_count(data.classes) if n is None else n
    return lambda secret: Folder(representatives(data.x_train, data.y_train, count, secret))


def _require_free(files: RunFiles, force: bool) -> None:
    """Raise :class:`CannotRunError` if the folder holds a run and ``force`` is not set."""
    found, begun = files.existing(), files.replacement.existing()
    if force or not (found or begun):
        return
    finished = files.model.exists() and not begun
    raise CannotRunError(
        f"{files.folder} holds {'a finished' if finished else 'an unfinished'} run: "
        + ", ".join(str(path.relative_to(files.folder)) for path in (*found, *begun)),
        hint="choose another folder, or replace it with --force"
        + ("" if finished else ", or continue it with --resume"),
        in_python="choose another folder, or replace it with force=True"
        + ("" if finished else ", or continue it with resume=True"),
    )


def _write_claim(files: RunFiles, watermark: Watermark) -> None:
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRunError(f"cannot create the folder {files.folder}: {error.strerror}") from None
    if watermark.own_images is not None:
        save_images(files.triggers, watermark.own_images)
    watermark.claim.save(files.claim)


def _claimed(files: RunFiles, owner: OwnerKey, data: LabeledData) -> Watermark:
    """Return the watermark of an interrupted run."""
    if not files.claim.exists():
        raise CannotRunError(
            f"{files.folder} holds no run to resume", hint="start it without --resume"
        )
    claim = Claim.load(files.claim)
    if claim.task != data.task:
        raise UsageError(
            f"the claim {files.claim} is for other data",
            hint="resume with the --data of the first call",
        )
    return Watermark.open(claim, owner, images=files.images())
