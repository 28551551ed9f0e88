"""Embedding from end to end: claim first, then training, export, and the proof on the file."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.claim import Claim
from wmx.protocol.keys import OwnerKey
from wmx.protocol.task import Task
from wmx.suspect.suspect import open_suspect
from wmx.training.config import Report, Training
from wmx.training.data.dataset import LabelledData
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


@dataclass(frozen=True)
class Embedded:
    """What :func:`embed` made.

    Attributes:
        watermark: the claim with its triggers.
        files: where everything lies.
        accuracy: of the model on the test set, 0 to 1.
        verdict: of verifying the exported file.
    """

    watermark: Watermark
    files: RunFiles
    accuracy: float
    verdict: Verdict


def embed(
    owner: OwnerKey,
    data: LabelledData,
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
    """Make a claim, train a model that bears its mark, export it, and verify the file.

    Args:
        owner: the owner key.
        data: training and test set.
        out: folder for the files; made if it is not there.
        training: the settings.
        framework: whose adapter trains.
        n: number of triggers; the protocol's default if not given.
        generator: trigger family; one that suits recipe and data if not given.
        note: free text for the public claim.
        resume: go on with the run in ``out``, which was interrupted.  Its claim is kept, so ``n``,
            ``generator`` and ``note`` are not asked again.
        force: replace the files of an earlier run in ``out``.  They stay until the new run is
            whole, which is made in a folder below ``out`` (:mod:`wmx._internal.file_sets`).
        report: called after every epoch.

    Raises:
        CannotRunError: ``out`` holds a run already, or training or export cannot be done.
        UsageError: arguments that do not fit together, or a resumed run's are others.
        IntegrityError: a resumed run's claim is of another owner key.
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
        except BaseException:  # an interrupt too
            if not target.checkpoint.exists():  # nothing was trained under this claim
                target.remove()
                if folder_is_new:
                    with contextlib.suppress(OSError):  # someone else has put something there
                        target.folder.rmdir()
            raise
    accuracy = evaluate(adapter, model, data.x_test, data.y_test, watermark.task)
    verdict = verify(open_suspect(files.model, "cpu", own=True), watermark)
    return Embedded(watermark, files, accuracy, verdict)


def train_unmarked(
    data: LabelledData,
    out: str | Path,
    *,
    training: Training,
    framework: str = "torch",
    report: Report | None = None,
) -> float:
    """Train the same model without a watermark and export it to the file ``out``.

    Returns:
        Its accuracy on the test set, 0 to 1.
    """
    adapter = load_adapter(framework)
    if fits_whole(adapter):
        model = adapter.fit_whole(data, data.task, None, training)
    else:
        model = fit(adapter, data, data.task, None, training, report=report)
    adapter.export(model, Path(out), data.task)
    return evaluate(adapter, model, data.x_test, data.y_test, data.task)


def fits_whole(adapter: Any) -> bool:
    """Say whether an adapter's estimators are fitted in one go, without epochs and checkpoints."""
    return hasattr(adapter, "fit_whole")


def _check(
    adapter: Any, data: LabelledData, task: Task, training: Training, *, resume: bool
) -> None:
    """Raise what training would raise at once, while nothing has been written."""
    if not fits_whole(adapter):
        if not resume:
            check(adapter, data, task, training)
        return
    if resume:
        raise UsageError(
            f"a run of {adapter.FRAMEWORK} has nothing to resume: it is fitted in one go",
            hint="start it anew with --force",
        )
    adapter.build(task, training)


def _trained(
    adapter: Any,
    data: LabelledData,
    watermark: Watermark,
    training: Training,
    files: RunFiles,
    resume: bool,
    report: Report | None,
) -> Any:
    if fits_whole(adapter):
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
    training: Training, data: LabelledData, n: int | None, given: Generator | None
) -> Generator | FromSecret | None:
    """Return the trigger family: the given one, that of the recipe, or that of the data."""
    if not recipe_named(training.recipe).second:
        return given or data.trigger_generator()
    if given is not None:
        raise UsageError(
            f"the recipe {training.recipe} chooses its triggers from the training set",
            hint="leave out the trigger images, or choose another recipe",
        )
    count = default_trigger_count(data.classes) if n is None else n
    return lambda secret: Folder(representatives(data.x_train, data.y_train, count, secret))


def _require_free(files: RunFiles, force: bool) -> None:
    """Raise :class:`CannotRunError` if a run lies there and ``force`` is not set."""
    found, begun = files.existing(), files.replacement.existing()
    if force or not (found or begun):
        return
    finished = files.model.exists() and not begun
    raise CannotRunError(
        f"{files.folder} holds {'a finished' if finished else 'an unfinished'} run: "
        + ", ".join(str(path.relative_to(files.folder)) for path in (*found, *begun)),
        hint="choose another folder, or --force to replace it"
        + ("" if finished else ", or --resume to go on with it"),
    )


def _write_claim(files: RunFiles, watermark: Watermark) -> None:
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRunError(f"cannot make the folder {files.folder}: {error.strerror}") from None
    if watermark.own_images is not None:
        save_images(files.triggers, watermark.own_images)
    watermark.claim.save(files.claim)


def _claimed(files: RunFiles, owner: OwnerKey, data: LabelledData) -> Watermark:
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
