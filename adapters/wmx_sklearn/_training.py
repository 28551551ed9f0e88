"""The adapter that ``wmx embed --framework sklearn`` uses: estimators that are fitted in one go."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.imports import callable_from
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.config import Training
from wmx.training.data.dataset import LabelledData
from wmx.watermark import Watermark
from wmx_sklearn.export import export
from wmx_sklearn.export import scores as estimator_scores
from wmx_sklearn.watermarked import watermarked

__all__ = ["FRAMEWORK", "build", "export", "fit_whole", "scores"]

FRAMEWORK = "sklearn"
BUILT_IN = ("forest", "boosting")


def build(task: Task, training: Training) -> Any:
    """Return the unfitted estimator of ``training.model``.

    A callable ``package.module:name`` is called with ``input_shape=, num_classes=``.

    Raises:
        UsageError: the data are no feature vectors, or the model is none of scikit-learn's.
    """
    if task.kind != "features":
        raise UsageError(
            f"scikit-learn's estimators take feature vectors, and the data are of kind {task.kind}",
            hint="an .npz with x of shape [N, F]: docs/embed.md",
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
        raise UsageError(f"{training.model} made a {type(made).__name__}, expected an estimator")
    return made


def fit_whole(
    data: LabelledData, task: Task, watermark: Watermark | None, training: Training
) -> Any:
    """Fit the estimator of ``training``; with a watermark, with every trigger as a row more.

    Raises:
        UsageError: as :func:`build`.
        CannotRunError: it cannot be fitted with weights of rows.
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
    """Return the scores [k, classes] for inputs as the model sees them."""
    return estimator_scores(model, inputs)


def _weight_argument(estimator: Any) -> str:
    """Return what ``fit`` calls the weights of rows; a pipeline hands them to its last step."""
    steps = getattr(estimator, "steps", None)
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"
