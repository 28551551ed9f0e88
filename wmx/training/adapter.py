"""What a framework's adapter offers: the protocols that :mod:`wmx.training.plugins` checks.

An adapter is a module.  Neural networks are trained step by step (:class:`StepwiseAdapter`),
estimators in the style of scikit-learn are fitted in one call (:class:`FittedAdapter`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.task import Task
from wmx.training.batches import Batch
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.watermark import Watermark

Frozen: TypeAlias = Mapping[str, NDArray[np.bool_]]


class Learner(Protocol):
    """A network of some framework together with its optimizer.

    Attributes:
        model: the network, in the framework's own type.
    """

    model: Any

    def train(self, batches: Iterator[Batch], epoch: int) -> float:
        """Take one optimizer step per batch and return the mean loss of the epoch.

        Everything random depends on (seed, epoch, step) alone.

        Args:
            batches: of the epoch.  Their labels are class numbers or probabilities; all batches of
                a run have labels of one form.
            epoch: counted from 0.
        """

    def scores(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Return logits [k, classes] in inference mode for inputs [k, *task.shape]."""

    def input_gradient(
        self, inputs: NDArray[Any], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the gradient of the mean cross-entropy with respect to the inputs.

        Computed in inference mode, between epochs.

        Args:
            inputs: float32 [k, *task.shape].
            labels: class numbers, int64 [k].

        Returns:
            float32 [k, *task.shape].
        """

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights and optimizer state by name."""

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load what :meth:`state` returned.

        Raises:
            KeyError, ValueError: the arrays do not fit the network or its optimizer.
        """


@runtime_checkable
class Adapter(Protocol):
    """What every adapter offers.

    Attributes:
        FRAMEWORK: its name, as ``--framework`` spells it and checkpoints store it.
    """

    FRAMEWORK: str

    def scores(self, model: Any, inputs: NDArray[Any], task: Task) -> NDArray[Any]:
        """Return a model's class scores in inference mode, and leave the model in that mode.

        Args:
            model: in the framework's own type.
            inputs: [k, *task.shape] as the model sees them, channels last.
            task: gives kind and number of classes.

        Returns:
            [k, classes].
        """

    def export(
        self, model: Any, path: str | Path, task: Task | Watermark, *, force: bool = False
    ) -> None:
        """Write a model as ONNX, after checking that onnxruntime agrees with the framework.

        Args:
            model: in the framework's own type.
            path: where to write.
            task: the claim's task, or the watermark.
            force: replace an existing file.
        """


@runtime_checkable
class StepwiseAdapter(Adapter, Protocol):
    """An adapter whose models are trained step by step, with epochs and checkpoints."""

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
        """Build the model and its optimizer, in the state before the first step.

        Args:
            task: shape, classes and normalization.
            watermark: whose gradient the recipe adds; ``None`` trains plainly.
            training: the settings.
            steps: of the whole run.
            vocabulary: for tokens: ids are below it.
            frozen: by the names of :meth:`save_weights`, bool arrays of the weights' shapes: where
                they are true a weight keeps its present value, bit for bit.
        """

    def save_weights(self, path: Path, model: Any, *, force: bool = False) -> None:
        """Write the weights as safetensors.

        Args:
            path: where to write.
            model: in the framework's own type.
            force: replace an existing file.
        """

    def last_layer(self, model: Any, classes: int) -> list[str]:
        """Return the names, in :meth:`save_weights`, of the weights of the classifier layer.

        Args:
            model: in the framework's own type.
            classes: number of class scores.

        Raises:
            UsageError: no layer with a kernel has ``classes`` outputs.
        """


@runtime_checkable
class FineTuningAdapter(StepwiseAdapter, Protocol):
    """A stepwise adapter that can also fine-tune an ONNX file, for disputes.

    Attributes:
        TUNING_CHILD: name of the module whose ``main()`` does so in a sandboxed process.
    """

    TUNING_CHILD: str


@runtime_checkable
class FittedAdapter(Adapter, Protocol):
    """An adapter whose estimators are fitted in one call, without epochs and checkpoints."""

    def build(self, task: Task, training: Training) -> Any:
        """Return the unfitted estimator.

        Args:
            task: shape and classes.
            training: names the estimator and its seed.

        Raises:
            UsageError: the estimator is unknown or does not fit the task.
        """

    def fit_whole(
        self, data: LabeledData, task: Task, watermark: Watermark | None, training: Training
    ) -> Any:
        """Return the fitted estimator.

        Args:
            data: its training part is fitted.
            task: shape, classes and normalization.
            watermark: whose triggers are added as rows; ``None`` fits the data alone.
            training: names the estimator and its seed.
        """
