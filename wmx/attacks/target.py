"""Making a target of what lies on the disk: the folder of a run, or an ONNX file."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from wmx.attacks.attack import Framework, Target
from wmx.attacks.split import held_out_half
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.checkpoint import data_digest, load_identity
from wmx.training.config import TrainingDevice
from wmx.training.data.dataset import LabelledData
from wmx.training.plugins import load_adapter
from wmx.training.run_dir import RunFiles
from wmx.triggers import default_generator
from wmx.watermark import Watermark


def stolen_run(
    folder: Path,
    watermark: Watermark,
    data: LabelledData,
    *,
    seed: int = 0,
    device: TrainingDevice = "auto",
    other_data: LabelledData | None = None,
) -> Target:
    """Return the target that a thief of a whole run has: file, weights, architecture.

    Args:
        folder: of ``wmx embed``, finished.
        watermark: of the run.  Its trigger family is part of the target, though the claim encrypts
            it: a mark has to outlive those who guess it.  Triggers and labels are not.
        data: that the run was trained on; half of its test part becomes the attacker's samples.
        seed: of the attacks.
        device: on which they train.
        other_data: of other classes, for transfer learning.

    Raises:
        CannotRunError: the run is not finished, or is an estimator's.
        IntegrityError: its checkpoint is damaged.
        UsageError: the data are not those of the run, or do not fit together.
    """
    files = RunFiles(folder)
    for path in (files.model, files.weights):
        if not path.exists():
            raise CannotRunError(
                f"{folder} holds no finished run of wmx embed: {path.name} is missing",
                hint="wmx embed ... --resume finishes it; an estimator's run has no weights, and "
                f"its file alone is attacked: wmx attack {files.model}",
            )
    run = load_identity(files.checkpoint)
    if data_digest(data) != run.data:
        raise UsageError(
            f"the run in {folder} was not trained on {data.name}",
            hint="give the --data of wmx embed: half of its test part becomes the attacker's",
        )
    framework = Framework(
        load_adapter(run.framework),
        run.settings["model"],
        files.weights,
        data.vocabulary,
        device,
    )
    target = stolen_file(files.model, watermark, data, seed=seed, other_data=other_data)
    return replace(target, framework=framework)


def stolen_file(
    path: Path,
    watermark: Watermark,
    data: LabelledData,
    *,
    seed: int = 0,
    other_data: LabelledData | None = None,
    weights: Iterable[Path] = (),
) -> Target:
    """Return the target that a thief of the ONNX file alone has; arguments as above.

    Args:
        weights: files beside it that hold its weights under names of their own.

    Raises:
        UsageError: the data are not of the claim's kind, shape and classes.
    """
    task = watermark.task
    _require_fit(data, "the claim is for", task)
    if data.classes != task.classes:
        raise UsageError(f"{data.name} has {data.classes} classes, the claim's task {task.classes}")
    own_images = watermark.own_images is not None  # secret to the attacker too
    if other_data is not None:
        _require_fit(other_data, "the stolen model takes", task)
    return Target(
        model=path,
        task=task,
        family=default_generator(task) if own_images else watermark.generator,
        data=held_out_half(data),
        queries=data.x_train,
        seed=seed,
        other_data=other_data,
        weights=tuple(weights),
    )


def _require_fit(data: LabelledData, whose: str, task: Task) -> None:
    found = (data.kind, data.x_train.shape[1:])
    if found != (task.kind, task.shape):
        raise UsageError(
            f"{data.name} holds {found[0]} {found[1]}, and {whose} {task.kind} {task.shape}"
        )
