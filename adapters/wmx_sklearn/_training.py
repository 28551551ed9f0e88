"""The adapter behind ``--framework sklearn``: a :class:`~wmx.training.adapter.FittedAdapter`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.imports import callable_from
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.watermark import Watermark
from wmx_sklearn.export import export
from wmx_sklearn.export import scores as estimator_scores
from wmx_sklearn.watermarked import watermarked

__all__ = ["FRAMEWORK", "build", "export", "fit_whole", "scores"]

FRAMEWORK = "sklearn"
BUILT_IN = ("forest", "boosting")


def build(task: Task, training: Training) -> Any:
    """Return the unfitted estimator of ``training.model``.

    Args:
        task: gives shape and number of classes.
        training: its ``model`` is ``"forest"``, ``"boosting"`` or ``"package.module:callable"``,
            called with ``input_shape=`` and ``num_classes=``; ``seed`` is used by the first two.

    Raises:
        UsageError: the data are not feature vectors, or there is no such estimator.
    """
    if task.kind != "features":
        raise UsageError(
            f"scikit-learn's estimators take feature vectors, and the data are of kind {task.kind}",
            hint="give an .npz with float features x [N, F] and classes y [N]; --framework torch, "
            "keras or jax trains networks on images and texts",
        )
    match training.model:
        case "forest":
            from sklearn.ensemble import RandomForestClassifier

            return RandomForestClassifier(300, random_state=training.seed)
        case "boosting":
            from sklearn.ensemble import GradientBoostingClassifier

            return GradientBoostingClassifier(n_estimators=200, random_state=training.seed)
    if ":" not in training.model:
        raise UsageError(
            f"--model is {training.model!r}, expected {', '.join(BUILT_IN)} or "
            "package.module:callable"
        )
    made = callable_from(training.model, "--model")(
        input_shape=task.shape, num_classes=task.classes
    )
    if not hasattr(made, "fit"):
        raise UsageError(f"{training.model} returned {type(made).__name__}, expected an estimator")
    return made


def fit_whole(
    data: LabeledData, task: Task, watermark: Watermark | None, training: Training
) -> Any:
    """Fit the estimator of ``training``; with a watermark, on the triggers too.

    Args:
        data: its training split is fitted.
        task: gives shape, classes and normalization.
        watermark: whose triggers are added as rows; ``None`` fits the data alone.
        training: names the estimator and its seed.

    Raises:
        UsageError: as :func:`build`.
        CannotRunError: the estimator does not support ``sample_weight``.
    """
    estimator = build(task, training)
    x, y = task.model_input(data.x_train), data.y_train
    if watermark is None:
        return estimator.fit(x, y)
    x, y, weights = watermarked(x, y, watermark)
    try:
        return estimator.fit(x, y, **{_weight_argument(estimator): weights})
    except TypeError as error:
        raise CannotRunError(
            f"{type(estimator).__name__} cannot be fitted with sample_weight: {error}"
        ) from None


def scores(model: Any, inputs: NDArray[Any], task: Task) -> NDArray[np.float64]:
    """Return an estimator's scores, float64 [k, classes].

    Args:
        model: a fitted estimator.
        inputs: [k, F], normalized.
        task: not used; part of the adapter protocol.
    """
    return estimator_scores(model, inputs)


def _weight_argument(estimator: Any) -> str:
    """Return the name of ``fit``'s argument for sample weights; of a pipeline, the last step's."""
    steps = getattr(estimator, "steps", None)
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"
