"""``export``: write a model as ONNX after checking that onnxruntime and the estimator agree."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx._internal.writing import write_bytes
from wmx.errors import CannotRunError, MissingExtraError, UsageError
from wmx.protocol.task import Task
from wmx.suspect.own_model import loaded_from
from wmx.training.export import checked_export, without_notes
from wmx.training.export_check import TOLERANCE, check_export
from wmx.watermark import Watermark

OPSET = 17


def export(
    estimator: Any, path: str | Path, task: Task | Watermark, *, force: bool = False
) -> None:
    """Write a fitted classifier as ONNX: float32 [N, F] to probabilities or decision values [N, K].

    Args:
        estimator: a scikit-learn classifier or pipeline, or a classifier of LightGBM or XGBoost;
            fitted on classes 0 to K - 1.
        path: where to write.
        task: the claim's task, or the watermark.
        force: replace an existing file.

    Raises:
        MissingExtraError: skl2onnx, or for boosting libraries onnxmltools, is not installed.
        UsageError: the estimator was not fitted on these classes.
        UsageError: an argument is of another type, or ``path`` ends as another format's does.
        CannotRunError: the file exists, no converter supports the estimator, or the exported model
            does not agree with it.
    """
    task = checked_export(path, task, force=force)
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise UsageError("the estimator has no classes_: it was not fitted, or is no classifier")
    if not np.array_equal(classes, np.arange(task.classes)):
        raise UsageError(
            f"the estimator was fitted on the classes {classes}, expected 0 to {task.classes - 1}",
            hint="fit on rows of every class, numbered from 0",
        )

    def reference(inputs: NDArray[Any]) -> NDArray[Any]:
        return scores(estimator, inputs)

    data = _converted(estimator, task)
    if task.classes == 2 and not hasattr(estimator, "predict_proba"):
        data = _with_class_1_last(data, reference, task)
    data = without_notes(data)
    check_export(data, reference, task)
    write_bytes(path, data, force=force)


def scores(estimator: Any, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities, or decision values if there are none, float64 [k, K].

    Args:
        estimator: fitted.
        inputs: [k, F], normalized.
    """
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(inputs), np.float64)
    found = np.asarray(estimator.decision_function(inputs), np.float64)
    return np.stack([-found, found], axis=1) if found.ndim == 1 else found


def _converted(estimator: Any, task: Task) -> bytes:
    """Return the ONNX file with the scores as its only output."""
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError:
        raise MissingExtraError("skl2onnx", "sklearn") from None
    _register_boosting()
    inputs = [("input", FloatTensorType([None, *task.shape]))]
    raw = not hasattr(estimator, "predict_proba")
    options = {id(estimator): {"zipmap": False, **({"raw_scores": True} if raw else {})}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converter uses deprecated parts of scikit-learn
            model = to_onnx(
                estimator,
                initial_types=inputs,
                options=options,
                target_opset={"": OPSET, "ai.onnx.ml": 3},
            )
    except Exception as error:
        line = str(error).strip().splitlines()
        raise CannotRunError(
            f"skl2onnx cannot export {type(estimator).__name__}: {line[0] if line else error!r}",
            hint="skl2onnx's documentation lists the estimators it supports",
        ) from None
    del model.graph.output[0]  # the class numbers; the scores are next
    return bytes(model.SerializeToString())


def _with_class_1_last(
    data: bytes, reference: Callable[[NDArray[Any]], NDArray[Any]], task: Task
) -> bytes:
    """Swap the two decision values if the converter has swapped them.

    skl2onnx 1.20 does so for support vector machines with two classes.
    """
    import onnx

    inputs = task.example_inputs(5, seed=0)
    session = loaded_from(data, "the exported file")
    given = session.run({session.inputs[0].name: inputs})[0]
    expected = reference(inputs)
    if not isinstance(given, np.ndarray):
        return data
    if not np.allclose(given, -expected, rtol=TOLERANCE, atol=TOLERANCE):
        return data
    model = onnx.load_from_string(data)
    (output,) = model.graph.output
    turned = onnx.helper.make_node("Neg", [output.name], ["scores"])
    model.graph.node.append(turned)
    output.name = "scores"
    return bytes(model.SerializeToString())


def _register_boosting() -> None:
    """Register converters for LightGBM and XGBoost with skl2onnx, if they are installed."""
    import importlib.util

    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    options = {
        "zipmap": [True, False, "columns"],
        "nocl": [True, False],
        "raw_scores": [True, False],
    }
    for library, name, converter in (
        ("lightgbm", "LGBMClassifier", "lightgbm.operator_converters.LightGbm:convert_lightgbm"),
        ("xgboost", "XGBClassifier", "xgboost.operator_converters.XGBoost:convert_xgboost"),
    ):
        if importlib.util.find_spec(library) is None:
            continue
        if importlib.util.find_spec("onnxmltools") is None:
            continue
        module, function = f"onnxmltools.convert.{converter}".split(":")
        update_registered_converter(
            getattr(importlib.import_module(library), name),
            f"{library}{name}",
            calculate_linear_classifier_output_shapes,
            getattr(importlib.import_module(module), function),
            options=options,
        )
