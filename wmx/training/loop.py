"""The training loop behind ``wmx embed``, the same in every framework.

The adapter provides a :class:`~wmx.training.adapter.Learner`, which takes the optimizer steps;
epochs, batches, checkpoints and progress reports are handled here.
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError, IntegrityError
from wmx.protocol.task import Task
from wmx.training.adapter import Adapter, Learner, StepwiseAdapter
from wmx.training.batches import ShuffledBatches, TrainingBatches
from wmx.training.checkpoint import Identity, data_digest, load_checkpoint, save_checkpoint
from wmx.training.config import EpochDone, Report, Training
from wmx.training.data.dataset import LabeledData
from wmx.training.metrics import measure
from wmx.training.recipe import recipe_named
from wmx.watermark import Watermark

EVALUATION_BATCH = 500


def check(adapter: StepwiseAdapter, data: LabeledData, task: Task, training: Training) -> None:
    """Raise what :func:`fit` would raise before its first step, without writing anything.

    Args:
        adapter: of the framework.
        data: training and test set.
        task: of the claim.
        training: the settings.

    Raises:
        UsageError: model, data and settings do not fit together.
        CannotRunError: the model fails, or the device is not available.
    """
    recipe_named(training.recipe)
    learner = adapter.begin(task, None, training, steps=training.epochs, vocabulary=data.vocabulary)
    learner.scores(task.model_input(data.x_test[:2]))


def fit(
    adapter: StepwiseAdapter,
    data: LabeledData,
    task: Task,
    watermark: Watermark | None,
    training: Training,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> Any:
    """Train a model; with a watermark, embed it by the recipe of ``training``.

    Everything random depends on the seed, the epoch and the step alone, so an interrupted and
    resumed run ends with the same weights as an uninterrupted one.  The caller's random state is
    left unchanged.

    Args:
        adapter: of the framework.
        data: training and test set.
        task: of the claim: shape, classes and normalization.
        watermark: to embed; ``None`` trains plainly.
        training: the settings.
        checkpoint: file that is replaced after every epoch; none is written if ``None``.
        resume: continue from ``checkpoint`` if it exists.
        report: called after every epoch, when its checkpoint is written.

    Returns:
        The model, in its framework's own type, on the device it was trained on.

    Raises:
        UsageError: model, data and settings do not fit together, or the checkpoint is from another
            run.
        IntegrityError: the checkpoint is damaged.
        CannotRunError: the model fails, the device is not available, or the loss is not finite.
    """
    batches = TrainingBatches(data, task, training, watermark)
    steps = batches.per_epoch * training.epochs
    learner = adapter.begin(task, watermark, training, steps=steps, vocabulary=data.vocabulary)
    claim = None if watermark is None else watermark.claim.digest
    identity = Identity(adapter.FRAMEWORK, training.settings(), claim, data_digest(data))
    done = 0
    if resume and checkpoint is not None and checkpoint.exists():
        done = _restored(learner, checkpoint, identity)
    for epoch in range(done, training.epochs):
        began = time.monotonic()
        loss = train_epoch(learner, batches, epoch, training)
        seconds = time.monotonic() - began
        if checkpoint is not None:
            save_checkpoint(checkpoint, identity, epoch + 1, learner.state())
        if report is not None:
            accuracy = _accuracy(learner.scores, data.x_test, data.y_test, task)
            marking = None if watermark is None else measure(watermark, learner.scores)
            report(
                EpochDone(
                    epoch=epoch + 1,
                    epochs=training.epochs,
                    loss=loss,
                    accuracy=accuracy,
                    hits=None if marking is None else marking.hits,
                    n=None if marking is None else marking.n,
                    bits=None if marking is None else marking.bits,
                    seconds=seconds,
                )
            )
    return learner.model


def train_epoch(
    learner: Learner, batches: ShuffledBatches, epoch: int, training: Training
) -> float:
    """Train one epoch and return its mean loss.

    Args:
        learner: the network.
        batches: of all epochs.
        epoch: counted from 0.
        training: the settings, for errors.

    Raises:
        CannotRunError: the model fails, or the loss is not finite.
    """
    loss = learner.train(batches.epoch(epoch), epoch)
    if not math.isfinite(loss):
        raise CannotRunError(
            f"the loss is {loss} in epoch {epoch + 1}: training has diverged",
            hint=f"lower the learning rate, {training.learning_rate:g} now, with --lr",
        )
    return loss


def evaluate(
    adapter: Adapter, model: Any, x: NDArray[np.generic], y: NDArray[np.int64], task: Task
) -> float:
    """Return the accuracy, 0 to 1, of a model in inference mode.

    Args:
        adapter: of the model's framework.
        model: in the framework's own type.
        x: canonical inputs [n, *task.shape].
        y: labels, int64 [n].
        task: gives the normalization.
    """
    return _accuracy(lambda inputs: adapter.scores(model, inputs, task), x, y, task)


def _accuracy(scores: Any, x: NDArray[Any], y: NDArray[np.int64], task: Task) -> float:
    top = [
        scores(task.model_input(x[at : at + EVALUATION_BATCH])).argmax(axis=1)
        for at in range(0, len(x), EVALUATION_BATCH)
    ]
    return float((np.concatenate(top) == y).mean())


def _restored(learner: Learner, checkpoint: Path, identity: Identity) -> int:
    done, state = load_checkpoint(checkpoint, identity)
    try:
        learner.restore(state)
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise IntegrityError(f"{checkpoint} is not a checkpoint of this run: {error}") from None
    return done
