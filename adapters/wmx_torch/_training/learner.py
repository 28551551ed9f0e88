"""The adapter behind ``--framework torch``: a :class:`~wmx.training.adapter.StepwiseAdapter`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.training.adapter import Frozen
from wmx.training.batches import Batch
from wmx.training.config import Training, learning_rates
from wmx.watermark import Watermark
from wmx_torch._inference import channels_first, evaluation_mode, scores, scores_of
from wmx_torch._training.frozen import FrozenWeights
from wmx_torch._training.last_layer import last_layer
from wmx_torch._training.models import build_model
from wmx_torch._training.optimizer import make_optimizer
from wmx_torch._training.randomness import derived_seed, own_random_state
from wmx_torch._training.state import load_state, state_arrays
from wmx_torch._training.weights import load_pretrained, save_weights
from wmx_torch.export import export
from wmx_torch.harden import harden

__all__ = [
    "FRAMEWORK",
    "TUNING_CHILD",
    "begin",
    "export",
    "last_layer",
    "save_weights",
    "scores",
]

FRAMEWORK = "torch"
TUNING_CHILD = "wmx_torch._fine_tuning.child"


def begin(
    task: Task,
    watermark: Watermark | None,
    training: Training,
    *,
    steps: int,
    vocabulary: int | None,
    frozen: Frozen | None = None,
) -> "TorchLearner":
    """Build the model and its optimizer, in the state before the first step.

    Frozen weights are restored after every step.  Arguments as of
    :meth:`wmx.training.adapter.StepwiseAdapter.begin`.

    Raises:
        UsageError: the model, the weights or the names of ``frozen`` do not fit the task.
        CannotRunError: the model cannot be built, or the device is not available.
    """
    device = _device(training)
    with own_random_state(device, derived_seed(training.seed, 0, "weights")):
        model = build_model(training.model, task, vocabulary)
    if training.pretrained is not None:
        load_pretrained(training.pretrained, model)
    model.to(device)
    if task.kind == "image":  # on a CPU convolutions run about 1.3 times faster in this layout
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TorchLearner(model, task, watermark, training, steps, device, frozen or {})


class TorchLearner:
    """A PyTorch network with its optimizer: a :class:`wmx.training.adapter.Learner`.

    Attributes:
        model: in evaluation mode, except during :meth:`train`.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        watermark: Watermark | None,
        training: Training,
        steps: int,
        device: torch.device,
        frozen: Frozen,
    ) -> None:
        self.model = model.eval()
        self._task = task
        self._watermark = watermark
        self._training = training
        self._steps = steps
        self._device = device
        self._optimizer = make_optimizer(model, training)
        self._rates = learning_rates(training, steps)
        self._frozen = FrozenWeights(model, frozen)

    def train(self, batches: Iterator[Batch], epoch: int) -> float:
        """Take one optimizer step per batch and return the mean loss of the epoch.

        Args:
            batches: of the epoch.
            epoch: counted from 0.
        """
        with own_random_state(self._device, derived_seed(self._training.seed, epoch, "training")):
            self.model.train()
            losses = [self._step(batch) for batch in batches]
            self.model.eval()
        return float(
            torch.stack(losses).mean()
        )  # once per epoch, so that steps do not wait for the GPU

    def scores(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Return logits in evaluation mode."""
        try:
            return scores(self.model, inputs, self._task)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise self._failed(inputs.shape, error) from error

    def input_gradient(
        self, inputs: NDArray[Any], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the gradient of the loss with respect to the inputs, in their shape.

        Args:
            inputs: float32 [k, *task.shape], channels last.
            labels: class numbers, int64 [k].
        """
        leaf = torch.from_numpy(inputs).to(self._device).requires_grad_()
        with evaluation_mode(self.model, for_gradient=True):
            output = self.model(channels_first(leaf, self._task))
            given = scores_of(output, self._task.classes)
            loss = cross_entropy(given, torch.from_numpy(labels).to(self._device))
            (gradient,) = torch.autograd.grad(loss, leaf)
        found: NDArray[np.float32] = gradient.float().cpu().numpy()
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights and optimizer state."""
        return state_arrays(self.model, self._optimizer)

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load what :meth:`state` returned."""
        load_state(state, self.model, self._optimizer)

    def _step(self, batch: Batch) -> Tensor:
        for group in self._optimizer.param_groups:
            group["lr"] = float(self._rates[batch.step])
        inputs = channels_first(torch.from_numpy(batch.inputs).to(self._device), self._task)
        labels = torch.from_numpy(batch.labels).to(self._device)
        self._optimizer.zero_grad(set_to_none=True)
        try:
            output = self.model(inputs)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise self._failed(batch.inputs.shape, error) from error
        loss = cross_entropy(scores_of(output, self._task.classes), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._watermark is not None:
            harden(
                self.model,
                self._watermark,
                step=batch.step,
                steps=self._steps,
                recipe=self._training.recipe,
                seed=self._training.seed,
            )
        self._optimizer.step()
        self._frozen.put_back()
        return loss.detach()

    def _failed(self, shape: tuple[int, ...], error: Exception) -> CannotRunError:
        return CannotRunError(
            f"the model {self._training.model} failed on inputs of {shape}, channels last: {error}",
            hint="images come as [N, C, H, W], features as [N, F], tokens as [N, L]",
        )


def _device(training: Training) -> torch.device:
    if training.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if training.device == "cuda" and not torch.cuda.is_available():
        raise CannotRunError(
            "CUDA cannot be used: PyTorch finds no device", hint="use --device auto or --device cpu"
        )
    return torch.device(training.device)
