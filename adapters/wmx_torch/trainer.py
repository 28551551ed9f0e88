"""The trainer behind ``wmx embed --framework torch``.

:mod:`wmx.embed` finds this module through the entry point and calls :func:`check`, :func:`fit`,
:func:`evaluate`, :func:`save_weights` and :func:`export`; an adapter of another framework offers
the same five.
"""

import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wmx.data import LabelledData
from wmx.errors import CannotRunError
from wmx.recipe import recipe_named
from wmx.task import Task
from wmx.training import EpochDone, Report, Training
from wmx.watermark import Watermark
from wmx_torch.batches import Inputs, TrainingBatches, TriggerBatches
from wmx_torch.checkpoint import (
    Identity,
    load_checkpoint,
    load_pretrained,
    save_checkpoint,
    save_weights,
)
from wmx_torch.export import export
from wmx_torch.harden import harden
from wmx_torch.inference import scores_of
from wmx_torch.models import build_model
from wmx_torch.monitor import Monitor
from wmx_torch.optimizer import learning_rate_factor, make_optimizer
from wmx_torch.randomness import derived_seed, own_random_state

__all__ = ["check", "evaluate", "export", "fit", "save_weights"]

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class _Run:
    """What an epoch needs."""

    data: LabelledData
    task: Task
    watermark: Watermark | None
    training: Training
    batches: TrainingBatches
    model: nn.Module
    optimizer: torch.optim.Optimizer
    device: torch.device


def check(data: LabelledData, task: Task, training: Training) -> None:
    """Raise what :func:`fit` would raise before its first step, while nothing has been written."""
    recipe_named(training.recipe)
    run = _begin(data, task, None, training)
    run.model.eval()
    with torch.no_grad():
        _scores(run, Inputs(data.x_test[:2], task, run.device).plain(slice(None)))


def fit(
    data: LabelledData,
    task: Task,
    watermark: Watermark | None,
    training: Training,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> nn.Module:
    """Train a model; with a watermark, embed it by the recipe of ``training``.

    Everything random hangs on the seed, the epoch and the step alone.  On a CPU the weights are
    the same bits every time, also where a run was interrupted and resumed.  The caller's random
    state is left as found.

    Args:
        data: training and test set.
        task: what the claim says of it; shape, classes and normalisation.
        watermark: to embed; ``None`` trains plainly.
        training: the settings.
        checkpoint: file that is replaced after every epoch; none is written if ``None``.
        resume: go on from ``checkpoint`` if it has been written.
        report: called after every epoch, when its checkpoint is written.

    Returns:
        The model, in evaluation mode, on the device it was trained on.

    Raises:
        UsageError: model, data and settings do not fit together, or the checkpoint is of another
            run.
        IntegrityError: the checkpoint is damaged.
        CannotRunError: the model fails, the device is not there, or the loss is not finite.
    """
    run = _begin(data, task, watermark, training)
    claim = None if watermark is None else watermark.claim.digest
    identity = Identity(training.settings(), claim, _digest(data))
    done = 0
    if resume and checkpoint is not None and checkpoint.exists():
        done = load_checkpoint(checkpoint, identity, run.model, run.optimizer)
    for epoch in range(done, training.epochs):
        began = time.monotonic()
        with own_random_state(run.device, derived_seed(training.seed, epoch, "training")):
            loss = _train_epoch(run, epoch)
        if checkpoint is not None:
            save_checkpoint(checkpoint, identity, epoch + 1, run.model, run.optimizer)
        if report is not None:
            report(_epoch_done(run, epoch, loss, time.monotonic() - began))
    return run.model.eval()


def evaluate(model: nn.Module, x: NDArray[np.generic], y: NDArray[np.int64], task: Task) -> float:
    """Put the model into evaluation mode and return its accuracy, 0 to 1, on canonical inputs."""
    inputs = Inputs(x, task, next(model.parameters()).device)
    model.eval()
    with torch.no_grad():
        top = [
            scores_of(model(inputs.plain(slice(at, at + EVALUATION_BATCH))), task.classes)
            .argmax(dim=1)
            .cpu()
            for at in range(0, len(inputs), EVALUATION_BATCH)
        ]
    return float((torch.cat(top).numpy() == y).mean())


def _begin(data: LabelledData, task: Task, watermark: Watermark | None, training: Training) -> _Run:
    """Build the model, its optimizer and its batches, all as before the first step."""
    device = _device(training)
    with own_random_state(device, derived_seed(training.seed, 0, "weights")):
        model = build_model(training.model, task, data.vocabulary)
    if training.pretrained is not None:
        load_pretrained(training.pretrained, model)
    model.to(device)
    if task.kind == "image":  # on a CPU convolutions run about 1.3 times faster in this layout
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seed, batch_size = training.seed, training.batch_size
    triggers = None
    if watermark is not None:
        recipe = recipe_named(training.recipe)
        triggers = TriggerBatches(watermark, recipe, batch_size, seed, device)
    return _Run(
        data,
        task,
        watermark,
        training,
        TrainingBatches(data, task, batch_size, seed, device, triggers),
        model,
        make_optimizer(model, training),
        device,
    )


def _train_epoch(run: _Run, epoch: int) -> float:
    """Run one epoch and return the mean loss."""
    training = run.training
    steps = run.batches.per_epoch * training.epochs
    losses = []
    run.model.train()
    for step, inputs, labels in run.batches.epoch(epoch):
        for group in run.optimizer.param_groups:
            group["lr"] = training.learning_rate * learning_rate_factor(step, steps)
        run.optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(_scores(run, inputs), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        if run.watermark is not None:
            harden(
                run.model,
                run.watermark,
                step=step,
                steps=steps,
                recipe=training.recipe,
                seed=training.seed,
            )
        run.optimizer.step()
        losses.append(loss.detach())  # read after the epoch, so that a GPU need not be waited for
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise CannotRunError(
            f"the loss is {mean} in epoch {epoch + 1}: training has diverged",
            hint=f"lower the learning rate, {training.learning_rate:g} now, with --lr",
        )
    return mean


def _scores(run: _Run, inputs: Tensor) -> Tensor:
    try:
        output = run.model(inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise CannotRunError(
            f"the model {run.training.model} failed on a batch of {tuple(inputs.shape)}: {error}",
            hint="images come as [N, C, H, W], features as [N, F], tokens as [N, L]",
        ) from error
    return scores_of(output, run.task.classes)


def _epoch_done(run: _Run, epoch: int, loss: float, seconds: float) -> EpochDone:
    marking = None if run.watermark is None else Monitor(run.watermark)(run.model)
    return EpochDone(
        epoch=epoch + 1,
        epochs=run.training.epochs,
        loss=loss,
        accuracy=evaluate(run.model, run.data.x_test, run.data.y_test, run.task),
        hits=None if marking is None else marking.hits,
        n=None if marking is None else marking.n,
        bits=None if marking is None else marking.bits,
        seconds=seconds,
    )


def _device(training: Training) -> torch.device:
    if training.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if training.device == "cuda" and not torch.cuda.is_available():
        raise CannotRunError(
            "CUDA cannot be used: PyTorch finds no device", hint="use --device auto or --device cpu"
        )
    return torch.device(training.device)


def _digest(data: LabelledData) -> str:
    digest = hashlib.sha256()
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
