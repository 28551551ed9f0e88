"""``export``: write a model as ONNX after checking that onnxruntime and Keras agree."""

from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from wmx._internal.writing import write_bytes
from wmx.errors import CannotRunError, MissingExtraError
from wmx.protocol.task import Task
from wmx.training.export import checked_export, with_standard_names, without_notes
from wmx.training.export_check import check_export
from wmx.training.model_scores import trying
from wmx.watermark import Watermark
from wmx_keras import _backends
from wmx_keras._inference import scores, scores_of


def export(model: Any, path: str | Path, task: Task | Watermark, *, force: bool = False) -> None:
    """Write ``model`` as ONNX: float32, any batch size, input ``input``, output ``scores``.

    The exporter is the backend's: tf2onnx, jax2onnx or torch.onnx.  The model is exported in
    inference mode and not changed.  The file is validated and compared with the model at two batch
    sizes before it is written.

    Args:
        model: takes [N, H, W, C] (images), [N, F] or [N, L]; returns logits or probabilities.
        path: where to write.
        task: the claim's task, or the watermark.
        force: replace an existing file.

    Raises:
        MissingExtraError: the exporter is not installed.
        UsageError: an argument is of another type, or ``path`` ends as another format's does.
        CannotRunError: the file exists, the model cannot be exported, or the exported model does
            not agree with it.
    """
    task = checked_export(path, task, force=force)
    if not isinstance(model, keras.Model):
        raise CannotRunError(f"the model is {type(model).__name__}, expected a keras.Model")

    def network(inputs: Any) -> Any:
        arguments = {"training": False} if model._call_has_training_arg else {}
        return keras.ops.cast(scores_of(model(inputs, **arguments), task.classes), "float32")

    def reference(inputs: NDArray[Any]) -> NDArray[Any]:
        return scores(model, inputs, task)

    with trying(task):  # the model's own errors are clearer than an exporter's
        reference(task.example_inputs(2, seed=0))
    try:
        data = _backends.current().onnx_bytes(network, model, task)
    except ModuleNotFoundError as error:
        extra = {"tensorflow": "keras", "jax": "jax", "torch": "torch"}[keras.backend.backend()]
        raise MissingExtraError(str(error.name), extra) from None
    data = without_notes(with_standard_names(data))
    check_export(data, reference, task)
    write_bytes(path, data, force=force)
