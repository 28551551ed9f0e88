"""The training run behind ``wmx embed``: the same in every framework.

An adapter brings a :class:`Learner`, which knows how to take steps; epochs, batches, checkpoints
and reports are here.
"""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError, IntegrityError
from wmx.protocol.task import Task
from wmx.training.batches import Batch, ShuffledBatches, TrainingBatches
from wmx.training.checkpoint import Identity, data_digest, load_checkpoint, save_checkpoint
from wmx.training.config import EpochDone, Report, Training
from wmx.training.data.dataset import LabelledData
from wmx.training.metrics import measure
from wmx.training.recipe import recipe_named
from wmx.watermark import Watermark

EVALUATION_BATCH = 500


Frozen: TypeAlias = Mapping[str, NDArray[np.bool_]]


class Learner(Protocol):
    """A network of some framework with its optimizer.

    Attributes:
        model: the network, as the framework has it.
    """

    model: Any

    def train(self, batches: Iterator[Batch], epoch: int) -> float:
        """Take a step for each batch of an epoch, counted from 0; return the mean loss.

        All that is random in it hangs on (seed, epoch, step).  A batch's labels are class numbers
        or probabilities; all batches of a run have labels of one form.
        """

    def scores(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Return logits [k, classes] in inference mode for inputs [k, *task.shape]."""

    def input_gradient(
        self, inputs: NDArray[Any], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the gradient of the mean cross-entropy with respect to inputs, in their shape.

        Taken in inference mode and between epochs.  Inputs are floats [k, *task.shape].
        """

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights and optimizer state by name."""

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take over what :meth:`state` gave; ``KeyError`` or ``ValueError`` if it does not fit."""


class Adapter(Protocol):
    """What a framework's adapter module offers; :mod:`wmx.adapters` finds it.

    Attributes:
        FRAMEWORK: its name, which checkpoints hold.
    """

    FRAMEWORK: str

    def begin(
        self,
        task: Task,
        watermark: Watermark | None,
        training: Training,
        *,
        steps: int,
        vocabulary: int | None,
        frozen: Frozen | None = None,
    ) -> Learner:
        """Build the model of ``training`` and its optimizer, as before the first of ``steps``.

        Args:
            task, watermark, training: of the run.
            steps: of the whole run.
            vocabulary: for tokens, ids are below it.
            frozen: by the names of :meth:`save_weights`, where a weight keeps the value it has now,
                to the bit: bool arrays of the weights' shapes.
        """

    def scores(self, model: Any, inputs: NDArray[Any], task: Task) -> NDArray[Any]:
        """Return ``model``'s logits [k, classes] in inference mode; leave it in that mode."""

    def save_weights(self, path: Path, model: Any, *, force: bool = False) -> None:
        """Write the weights as safetensors."""

    def last_layer(self, model: Any, classes: int) -> list[str]:
        """Return the names, in :meth:`save_weights`, of the weights that give the class scores.

        ``UsageError`` if no layer with a kernel has ``classes`` outputs.
        """

    def export(
        self, model: Any, path: str | Path, task: Task | Watermark, *, force: bool = False
    ) -> None:
        """Write the model as ONNX, proven to agree."""


def check(adapter: Adapter, data: LabelledData, task: Task, training: Training) -> None:
    """Raise what :func:`fit` would raise before its first step, while nothing has been written."""
    recipe_named(training.recipe)
    learner = adapter.begin(task, None, training, steps=training.epochs, vocabulary=data.vocabulary)
    learner.scores(task.model_input(data.x_test[:2]))


def fit(
    adapter: Adapter,
    data: LabelledData,
    task: Task,
    watermark: Watermark | None,
    training: Training,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> Any:
    """Train a model; with a watermark, embed it by the recipe of ``training``.

    Everything random hangs on the seed, the epoch and the step alone, so a run that was
    interrupted and resumed ends as one that was not.  The caller's random state is left as found.

    Args:
        adapter: of the framework.
        data: training and test set.
        task: what the claim says of it; shape, classes and normalisation.
        watermark: to embed; ``None`` trains plainly.
        training: the settings.
        checkpoint: file that is replaced after every epoch; none is written if ``None``.
        resume: go on from ``checkpoint`` if it has been written.
        report: called after every epoch, when its checkpoint is written.

    Returns:
        The model, as its framework has it, on the device it was trained on.

    Raises:
        UsageError: model, data and settings do not fit together, or the checkpoint is of another
            run.
        IntegrityError: the checkpoint is damaged.
        CannotRunError: the model fails, the device is not there, or the loss is not finite.
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
    """Train one epoch, counted from 0; return its mean loss.

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
    """Return the accuracy, 0 to 1, of a model in inference mode on canonical inputs."""
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
