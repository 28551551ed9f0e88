"""The adapter behind ``--framework keras``: a :class:`~wmx.training.adapter.StepwiseAdapter`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wmx.errors import CannotRunError, WmxError
from wmx.protocol.task import Task
from wmx.training.adapter import Frozen
from wmx.training.batches import Batch
from wmx.training.config import Training
from wmx.training.weights import read_weights, write_weights
from wmx.watermark import Watermark
from wmx_keras import _backends
from wmx_keras._inference import gives_logits, scores, scores_of
from wmx_keras._training.frozen import FrozenWeights
from wmx_keras._training.last_layer import last_layer
from wmx_keras._training.models import build_model
from wmx_keras._training.optimizer import make_optimizer
from wmx_keras._training.state import assign, named_arrays
from wmx_keras.export import export
from wmx_keras.harden_model import harden_model

__all__ = ["FRAMEWORK", "begin", "export", "last_layer", "save_weights", "scores"]

FRAMEWORK = "keras"
MODEL, OPTIMIZER = "model.", "optimizer."


def begin(
    task: Task,
    watermark: Watermark | None,
    training: Training,
    *,
    steps: int,
    vocabulary: int | None,
    frozen: Frozen | None = None,
) -> "KerasLearner":
    """Build the model and its optimizer, in the state before the first step.

    Frozen weights are restored after every step, statistics after every epoch.  Arguments as for
    :meth:`wmx.training.adapter.StepwiseAdapter.begin`.

    Raises:
        UsageError: the model, the weights or the names of ``frozen`` do not fit the task.
        CannotRunError: the model cannot be built, or the device is not available.
    """
    with _on_device(training):
        model = build_model(training.model, task, vocabulary, training.seed)
        if training.pretrained is not None:
            _load_pretrained(training.pretrained, model)
        return KerasLearner(model, task, watermark, training, steps, frozen or {})


def save_weights(path: Path, model: Any, *, force: bool = False) -> None:
    """Write weights and BatchNorm statistics as safetensors.

    Args:
        path: of the file.
        model: the network.
        force: replace an existing file.
    """
    write_weights(path, named_arrays(model.weights), force=force)


class KerasLearner:
    """A Keras network with its optimizer: a :class:`wmx.training.adapter.Learner`.

    Attributes:
        model: a Keras model.
    """

    def __init__(
        self,
        model: Any,
        task: Task,
        watermark: Watermark | None,
        training: Training,
        steps: int,
        frozen: Frozen,
    ) -> None:
        self.model = model
        self._task = task
        self._training = training
        self._per_epoch = steps // training.epochs
        self._trained = model
        if watermark is not None:
            self._trained = harden_model(
                model, watermark, recipe=training.recipe, steps=steps, seed=training.seed
            )
        self._optimizer = make_optimizer(training, steps)
        self._optimizer.build(model.trainable_variables)
        self._trained.compile(
            self._optimizer,
            keras.losses.CategoricalCrossentropy(from_logits=gives_logits(model)),
        )
        self._frozen = FrozenWeights(model, frozen)

    def train(self, batches: Iterator[Batch], epoch: int) -> float:
        """Take one optimizer step per batch and return the mean loss of the epoch.

        Args:
            batches: of the epoch.
            epoch: counted from 0.
        """
        data = ((batch.inputs, self._probabilities(batch.labels)) for batch in batches)
        streams = _backends.current().streams_kept()
        with _on_device(self._training), self._failures(), streams:
            history = self._trained.fit(
                data,
                epochs=epoch + 1,
                initial_epoch=epoch,
                steps_per_epoch=self._per_epoch,
                shuffle=False,
                verbose=0,
            )
            self._frozen.put_back_statistics()
        return float(history.history["loss"][0])

    def scores(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Return scores in inference mode."""
        with _on_device(self._training), self._failures():
            return scores(self.model, inputs, self._task)

    def input_gradient(
        self, inputs: NDArray[Any], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the gradient of the loss with respect to the inputs, in their shape.

        Args:
            inputs: float32 [k, *task.shape], channels last.
            labels: class numbers, int64 [k].
        """
        logits = gives_logits(self.model)
        targets = keras.ops.convert_to_tensor(self._probabilities(labels))

        def loss(values: list[Any]) -> Any:
            given = scores_of(self.model(values[0], training=False), self._task.classes)
            losses = keras.losses.categorical_crossentropy(targets, given, from_logits=logits)
            return keras.ops.mean(losses)

        with _on_device(self._training), self._failures():
            (gradient,) = _backends.current().gradients(loss, [keras.ops.convert_to_tensor(inputs)])
            return np.asarray(keras.ops.convert_to_numpy(gradient), dtype=np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, seeds and optimizer state."""
        return named_arrays(self.model.variables, MODEL) | named_arrays(
            self._optimizer.variables, OPTIMIZER
        )

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load what :meth:`state` returned."""
        assign(self.model.variables, state, MODEL)
        assign(self._optimizer.variables, state, OPTIMIZER)

    def _probabilities(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels as probabilities, which the compiled loss takes."""
        if labels.ndim == 2:
            return labels.astype(np.float32)
        return np.eye(self._task.classes, dtype=np.float32)[labels]

    def _failures(self) -> "_Failures":
        return _Failures(self._training.model)


class _Failures:
    """Converts errors from the model's call to :class:`CannotRunError` with the model's name."""

    def __init__(self, model: str) -> None:
        self._model = model

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, WmxError):
            raise CannotRunError(
                f"the model {self._model} failed: {error}",
                hint="images come as [N, H, W, C], features as [N, F], tokens as [N, L]",
            ) from error


def _load_pretrained(path: Path, model: Any) -> None:
    assign(model.weights, read_weights(path, named_arrays(model.weights)))


def _on_device(training: Training) -> AbstractContextManager[Any]:
    has_gpu = training.device != "auto" and _backends.current().has_gpu()
    if training.device == "cuda" and not has_gpu:
        raise CannotRunError(
            f"CUDA cannot be used: Keras on {keras.backend.backend()} finds no device",
            hint="use --device auto or --device cpu",
        )
    if training.device == "cpu" and has_gpu:
        return keras.device("cpu:0")
    return nullcontext()  # a backend uses its GPU by default
