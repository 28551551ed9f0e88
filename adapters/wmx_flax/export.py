"""``export``: write a model as ONNX after checking that onnxruntime and JAX agree."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from _wmx_jax.onnx_file import onnx_bytes
from wmx._internal.writing import write_bytes
from wmx.protocol.task import Task
from wmx.training.export import checked_export, without_notes
from wmx.training.export_check import check_export
from wmx.training.model_scores import trying
from wmx.watermark import Watermark
from wmx_flax._inference import Call, Model, pure_model, scores, scores_of


def export(
    model: Model,
    path: str | Path,
    task: Task | Watermark,
    *,
    force: bool = False,
    call: Call | None = None,
) -> None:
    """Write ``model`` as ONNX: float32, any batch size, input ``input``, output ``scores``.

    The model is exported in inference mode and not changed.  The file is validated and compared
    with the model at two batch sizes before it is written.  A warning says so if the model returns
    probabilities.

    Args:
        model: an NNX module, or (Linen module, its variables); takes [N, H, W, C] (images), [N, F]
            or [N, L] and returns logits.
        path: where to write.
        task: the claim's task, or the watermark.
        force: replace an existing file.
        call: (model, inputs) to logits in inference mode, for models with further arguments; for
            Linen (variables, inputs) to logits.

    Raises:
        MissingExtraError: jax2onnx is not installed.
        UsageError: an argument is of another type, or ``path`` ends as another format's does.
        CannotRunError: the file exists, jax2onnx cannot export the model, or the exported model
            does not agree with it.
    """
    task = checked_export(path, task, force=force)
    pure = pure_model(model, call)

    def network(inputs: Any) -> Any:
        return scores_of(pure.apply(pure.params, inputs), task.classes).astype("float32")

    def reference(inputs: NDArray[Any]) -> NDArray[Any]:
        return scores(model, inputs, task, call)

    with trying(task):  # the model's own errors are clearer than an exporter's
        reference(task.example_inputs(2, seed=0))
    data = without_notes(onnx_bytes(network, task))
    check_export(data, reference, task, logits=True)
    write_bytes(path, data, force=force)
