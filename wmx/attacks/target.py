"""Building an attack target from files: the folder of a training run, or an ONNX file."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from wmx.attacks.attack import Framework, Target
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.checkpoint import data_digest, load_identity
from wmx.training.config import TrainingDevice
from wmx.training.data.dataset import LabeledData
from wmx.training.plugins import load_stepwise_adapter
from wmx.training.run_dir import RunFiles
from wmx.triggers import default_generator
from wmx.watermark import Watermark

# of the split; not the attacks' seed, so that all runs are tested on the same samples
SPLIT_SEED = 0


def target_from_run(
    folder: Path,
    watermark: Watermark,
    data: LabeledData,
    *,
    seed: int = 0,
    device: TrainingDevice = "auto",
    other_data: LabeledData | None = None,
) -> Target:
    """Return the target for an attacker who has a whole run: ONNX file, weights, architecture.

    Args:
        folder: of a finished ``wmx embed`` run.
        watermark: of the run.  The target includes its trigger family, though the claim encrypts
            it, since a mark has to survive attackers who guess it; not its triggers and labels.
        data: that the run was trained on; half of its test split becomes the attacker's samples.
        seed: of the attacks.
        device: to train on.
        other_data: of other classes, for transfer learning.

    Raises:
        CannotRunError: the run is not finished, or is one of a scikit-learn estimator.
        IntegrityError: its checkpoint is damaged.
        UsageError: the data are not those of the run, or do not fit together.
    """
    files = RunFiles(folder)
    for path in (files.model, files.weights):
        if not path.exists():
            raise CannotRunError(
                f"{folder} holds no finished run of wmx embed: {path.name} is missing",
                hint="an estimator's run has no weights; attack its file: wmx attack "
                f"{files.model} --claim {files.claim} --framework NAME"
                if files.model.exists()
                else "wmx embed ... --resume finishes it",
            )
    run = load_identity(files.checkpoint)
    if data_digest(data) != run.data:
        raise UsageError(
            f"the run in {folder} was not trained on {data.name}",
            hint="use the --data of wmx embed: half of its test split becomes the attacker's",
        )
    framework = Framework(
        load_stepwise_adapter(run.framework),
        run.settings["model"],
        files.weights,
        data.vocabulary,
        device,
    )
    target = target_from_file(files.model, watermark, data, seed=seed, other_data=other_data)
    return replace(target, framework=framework)


def target_from_file(
    path: Path,
    watermark: Watermark,
    data: LabeledData,
    *,
    seed: int = 0,
    other_data: LabeledData | None = None,
    weights: Iterable[Path] = (),
) -> Target:
    """Return the target for an attacker who has the ONNX file alone.

    Args:
        path: of the ONNX file.
        watermark: of the model; see :func:`target_from_run`.
        data: that the model was trained on; half of its test split becomes the attacker's samples.
        seed: of the attacks.
        other_data: of other classes, for transfer learning.
        weights: files beside the model that hold its weights (ONNX external data).

    Raises:
        UsageError: kind, shape or number of classes of the data differ from the claim's.
    """
    task = watermark.task
    _require_fit(data, "the claim is for", task)
    if data.classes != task.classes:
        raise UsageError(f"{data.name} has {data.classes} classes, the claim's task {task.classes}")
    own_images = watermark.own_images is not None  # secret to the attacker too
    if other_data is not None:
        _require_fit(other_data, "the target model takes", task)
    return Target(
        model=path,
        task=task,
        family=default_generator(task) if own_images else watermark.generator,
        data=attacker_split(data),
        queries=data.x_train,
        seed=seed,
        other_data=other_data,
        weights=tuple(weights),
    )


def attacker_split(data: LabeledData) -> LabeledData:
    """Split the owner's test split: half for the attacker to train on, half to test on.

    The owner trained on the training split, so the attacker's samples are new to the model, and
    neither the owner's nor the attacker's model is tested on its own training data.

    Raises:
        UsageError: there are fewer than 4 test samples.
    """
    count = len(data.y_test) // 2
    if count < 2:
        raise UsageError(
            f"{data.name}: {len(data.y_test)} test samples, expected at least 4: half of them are "
            "the attacker's"
        )
    order = np.random.default_rng(SPLIT_SEED).permutation(len(data.y_test))
    attacker, test = order[:count], order[count:]
    return replace(
        data,
        x_train=data.x_test[attacker],
        y_train=data.y_test[attacker],
        x_test=data.x_test[test],
        y_test=data.y_test[test],
        name=f"{data.name}, attacker",
    )


def _require_fit(data: LabeledData, whose: str, task: Task) -> None:
    found = (data.kind, data.x_train.shape[1:])
    if found != (task.kind, task.shape):
        raise UsageError(
            f"{data.name} holds {found[0]} {found[1]}, and {whose} {task.kind} {task.shape}"
        )
