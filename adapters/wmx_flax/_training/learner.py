"""The adapter behind ``--framework jax``: a :class:`~wmx.training.adapter.StepwiseAdapter`."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from numpy.typing import NDArray

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.training.adapter import Frozen
from wmx.training.batches import Batch
from wmx.training.config import Training, learning_rates
from wmx.training.recipe import recipe_named
from wmx.training.weights import read_weights, require_names, write_weights
from wmx.watermark import Watermark
from wmx_flax._inference import pure_model, scores, scores_of
from wmx_flax._training.frozen import FrozenWeights
from wmx_flax._training.last_layer import last_layer
from wmx_flax._training.models import build_model
from wmx_flax._training.optimizer import make_optimizer, stepped
from wmx_flax._training.state import named_arrays, weights_of, with_arrays
from wmx_flax.export import export
from wmx_flax.harden import added_gradient

__all__ = ["FRAMEWORK", "begin", "export", "last_layer", "save_weights", "scores"]

FRAMEWORK = "jax"
MODEL, OPTIMIZER = "model.", "optimizer."


def begin(
    task: Task,
    watermark: Watermark | None,
    training: Training,
    *,
    steps: int,
    vocabulary: int | None,
    frozen: Frozen | None = None,
) -> "FlaxLearner":
    """Build the model and its optimizer, in the state before the first step.

    Frozen weights are restored after every step.  Arguments as of
    :meth:`wmx.training.adapter.StepwiseAdapter.begin`.

    Raises:
        UsageError: the model, the weights or the names of ``frozen`` do not fit the task.
        CannotRunError: the model cannot be built, or the device is not available.
    """
    device = _device(training)
    with jax.default_device(device):
        model = build_model(training.model, task, vocabulary, training.seed)
        if training.pretrained is not None:
            _load_pretrained(training.pretrained, model)
        return FlaxLearner(model, task, watermark, training, steps, device, frozen or {})


def save_weights(path: Path, model: nnx.Module, *, force: bool = False) -> None:
    """Write parameters and BatchNorm statistics as safetensors.

    Args:
        path: of the file.
        model: the network.
        force: replace an existing file.
    """
    write_weights(path, named_arrays(weights_of(model)), force=force)


class FlaxLearner:
    """A Flax network with its optimizer: a :class:`wmx.training.adapter.Learner`.

    Attributes:
        model: an NNX module.
        traces: how often the training step and the added gradient were traced; once each.
    """

    def __init__(
        self,
        model: nnx.Module,
        task: Task,
        watermark: Watermark | None,
        training: Training,
        steps: int,
        device: jax.Device,
        frozen: Frozen,
    ) -> None:
        model.train()
        self.model = model
        self.traces: Counter[str] = Counter()
        self._task = task
        self._training = training
        self._recipe = recipe_named(training.recipe)
        self._steps = steps
        self._device = device
        self._optimizer = make_optimizer(training)
        self._optimizer_state = self._optimizer.init(nnx.state(model, nnx.Param))
        self._rates = learning_rates(training, steps)
        require_names(frozen, named_arrays(weights_of(model)))
        self._frozen = [FrozenWeights(part, frozen) for part in _parts(model)]
        self._graph = nnx.split(model, nnx.Param, ...)[0]
        # inference uses another graph, since its layers have other modes
        self._step = jax.jit(self._traced_step, donate_argnums=(0, 1, 2))
        # separate from the step, which would otherwise need a condition: see harden
        self._added = watermark and jax.jit(partial(self._traced_added, watermark))
        self._nothing = jax.tree.map(jnp.zeros_like, _parts(model)[0])
        self._scores = jax.jit(self._traced_scores)
        self._input_gradient = jax.jit(jax.grad(self._traced_loss, argnums=2))

    def train(self, batches: Iterator[Batch], epoch: int) -> float:
        """Take one optimizer step per batch and return the mean loss of the epoch.

        Args:
            batches: of the epoch.
            epoch: counted from 0.
        """
        with jax.default_device(self._device):
            params, rest = _parts(self.model)
            losses = []
            for batch in batches:
                added = self._nothing
                if self._added is not None and self._recipe.hardens_at(batch.step):
                    added = self._called(self._added, params, rest, np.int32(batch.step))
                params, rest, self._optimizer_state, loss = self._called(
                    self._step,
                    params,
                    rest,
                    self._optimizer_state,
                    batch.inputs,
                    _as_jax_takes(batch.labels),
                    added,
                    self._rates[batch.step],
                )
                losses.append(loss)
            nnx.update(self.model, params, rest)
            return float(jnp.stack(losses).mean())

    def scores(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Return logits in inference mode."""
        with jax.default_device(self._device):
            params, rest = _parts(self.model)
            return np.asarray(self._called(self._scores, params, rest, inputs), dtype=np.float64)

    def input_gradient(
        self, inputs: NDArray[Any], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the gradient of the loss with respect to the inputs, in their shape.

        Args:
            inputs: float32 [k, *task.shape], channels last.
            labels: class numbers, int64 [k].
        """
        with jax.default_device(self._device):
            params, rest = _parts(self.model)
            found = self._called(self._input_gradient, params, rest, inputs, _as_jax_takes(labels))
            return np.asarray(found, dtype=np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, random state and optimizer state."""
        model = named_arrays(nnx.state(self.model), MODEL)
        return model | named_arrays(self._optimizer_state, OPTIMIZER)

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load what :meth:`state` returned."""
        nnx.update(self.model, with_arrays(nnx.state(self.model), state, MODEL))
        self._optimizer_state = with_arrays(self._optimizer_state, state, OPTIMIZER)

    def _traced_step(
        self,
        params: Any,
        rest: Any,
        optimizer_state: Any,
        inputs: jax.Array,
        labels: jax.Array,
        added: Any,
        rate: jax.Array,
    ) -> tuple[Any, Any, Any, jax.Array]:
        self.traces["step"] += 1

        def loss_of(params: Any) -> tuple[jax.Array, Any]:
            model = nnx.merge(self._graph, params, rest, copy=True)
            given = scores_of(model(inputs), self._task.classes)
            return cross_entropy(given, labels), _parts(model)[1]

        (loss, after), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        grads = jax.tree.map(jnp.add, grads, added)
        updates, optimizer_state = self._optimizer.update(grads, optimizer_state, params)
        params, after = (
            frozen.put_back(part)
            for frozen, part in zip(
                self._frozen, (stepped(params, updates, rate), after), strict=True
            )
        )
        return params, after, optimizer_state, loss

    def _traced_added(self, watermark: Watermark, params: Any, rest: Any, step: jax.Array) -> Any:
        self.traces["added gradient"] += 1
        pure = pure_model(nnx.merge(self._graph, params, rest, copy=True), None, nnx.Param)
        return added_gradient(pure, watermark, step, self._steps, self._recipe, self._training.seed)

    def _traced_loss(
        self, params: Any, rest: Any, inputs: jax.Array, labels: jax.Array
    ) -> jax.Array:
        return cross_entropy(self._traced_scores(params, rest, inputs), labels)

    def _traced_scores(self, params: Any, rest: Any, inputs: jax.Array) -> jax.Array:
        model = nnx.merge(self._graph, params, rest, copy=True)
        model.eval()
        return scores_of(model(inputs), self._task.classes)

    def _called(self, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CannotRunError(
                f"the model {self._training.model} failed: {error}",
                hint="images come as [N, H, W, C], features as [N, F], tokens as [N, L]",
            ) from error


def cross_entropy(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the mean cross-entropy.

    Args:
        scores: logits [k, classes].
        labels: class numbers [k], or probabilities [k, classes].
    """
    if labels.ndim == 1:
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
    return optax.softmax_cross_entropy(scores, labels).mean()


def _as_jax_takes(labels: NDArray[Any]) -> NDArray[Any]:
    return labels.astype(np.int32) if labels.ndim == 1 else labels


def _parts(model: nnx.Module) -> tuple[Any, Any]:
    """Return the trainable parameters, and all other state."""
    parts: Any = nnx.split(model, nnx.Param, ...)
    return parts[1], parts[2]


def _load_pretrained(path: Path, model: nnx.Module) -> None:
    own = weights_of(model)
    nnx.update(model, with_arrays(own, read_weights(path, named_arrays(own))))


def _device(training: Training) -> jax.Device:
    if training.device == "auto":
        return jax.devices()[0]
    try:
        return jax.devices(training.device)[0]
    except RuntimeError as error:
        raise CannotRunError(
            f"{training.device} cannot be used: {error}", hint="use --device auto or --device cpu"
        ) from None
