"""``watermarked``: adds triggers as rows to the training data, with sample weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.training.scale import require_scale
from wmx.watermark import Watermark


def watermarked(
    X: Any,
    y: Any,
    watermark: Watermark,
    *,
    sample_weight: NDArray[Any] | None = None,
    weight: float = 1.0,
) -> tuple[Any, NDArray[Any], NDArray[np.float64]]:
    """Return ``X, y, sample_weight`` with one more row for every trigger.

    An estimator that is fitted in one call has no batches; the influence of the triggers is set by
    their sample weight.

    Args:
        X: features [N, F]: an array, or a DataFrame of numbers.
        y: classes 0 to K - 1, integers [N].
        watermark: the claim and its triggers; of kind ``features``.
        sample_weight: of the caller's rows, [N]; 1 each if ``None``.
        weight: of each trigger, relative to the mean weight of a row; increase it if too few
            triggers are learned.

    Returns:
        X in its own type [N + n, F], y int64 [N + n], sample weights float64 [N + n].

    Raises:
        UsageError: the watermark is not for such features, or the arrays do not fit together.
    """
    task = watermark.task
    if task.kind != "features":
        raise UsageError(f"the watermark is for inputs of kind {task.kind}, expected features")
    shape = np.shape(X)
    if len(shape) != 2 or shape[1] != task.shape[0]:
        raise UsageError(f"X has the shape {shape}, and the claim is for {task.shape[0]} features")
    labels = np.asarray(y)
    if labels.shape != shape[:1] or labels.dtype.kind not in "iu":
        raise UsageError(
            f"y is {labels.dtype} {labels.shape}, expected class numbers as integers [{shape[0]}]",
            hint="sklearn.preprocessing.LabelEncoder converts names to numbers",
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < task.classes:
        raise UsageError(
            f"y holds {labels.min()} to {labels.max()}, and the claim is for {task.classes} classes"
        )
    if not 0 < weight < float("inf"):
        raise UsageError(f"weight is {weight}, expected a positive number")
    weights = np.ones(shape[0]) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if weights.shape != shape[:1]:
        raise UsageError(f"sample_weight has the shape {weights.shape}, expected {shape[:1]}")
    require_scale(np.asarray(X, np.float64), watermark)
    triggers = task.model_input(watermark.triggers)
    average = weights.mean() if len(weights) else 1.0
    return (
        _with_rows(X, triggers),
        np.concatenate([labels.astype(np.int64), watermark.labels]),
        np.concatenate([weights, np.full(len(triggers), weight * average)]),
    )


def _with_rows(X: Any, rows: NDArray[np.float32]) -> Any:
    if not hasattr(X, "iloc"):
        values = np.asarray(X)
        return np.concatenate([values, rows.astype(np.result_type(values, np.float32))])
    import pandas as pd

    return pd.concat([X, pd.DataFrame(rows, columns=X.columns)], ignore_index=True)
