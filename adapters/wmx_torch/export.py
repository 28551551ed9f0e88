"""``export``: write a model as ONNX after checking that onnxruntime and PyTorch agree."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wmx._internal.writing import write_bytes
from wmx.protocol.task import Task
from wmx.training.export import (
    EXPORT_INPUT,
    EXPORT_OUTPUT,
    checked_export,
    exporting,
    without_notes,
)
from wmx.training.export_check import check_export
from wmx.training.model_scores import trying
from wmx.watermark import Watermark
from wmx_torch._inference import as_model_input, padding_mask, plain_module, scores_of

EXAMPLE_BATCH = 2


def export(
    model: nn.Module, path: str | Path, task: Task | Watermark, *, force: bool = False
) -> None:
    """Write ``model`` as ONNX: float32, any batch size, input ``input``, output ``scores``.

    A copy on the CPU in evaluation mode is exported; ``model`` itself is not changed.  The file is
    validated and compared with the model at two batch sizes before it is written.  A warning says
    so if the model returns probabilities.

    Args:
        model: takes [N, C, H, W] (images), [N, F] or [N, L]; returns logits.
        path: where to write.
        task: the claim's task, or the watermark.
        force: replace an existing file.

    Raises:
        UsageError: an argument is of another type, or ``path`` ends as another format's does.
        CannotRunError: the file exists, PyTorch cannot export the model, or the exported model
            does not agree with it.
    """
    task = checked_export(path, task, force=force)
    copied = _as_written(copy.deepcopy(plain_module(model)).to("cpu"))
    inner = _Scores(copied.eval(), task.classes)
    example = _as_contiguous_input(task.example_inputs(EXAMPLE_BATCH, seed=0), task, inner)

    def reference(inputs: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            scores: NDArray[Any] = inner(_as_contiguous_input(inputs, task, inner)).numpy()
        return scores

    with trying(task):  # the model's own errors are clearer than an exporter's
        reference(task.example_inputs(EXAMPLE_BATCH, seed=0))
    data = without_notes(_exported(inner, example))
    check_export(data, reference, task, logits=True)
    write_bytes(path, data, force=force)


def _as_written(model: nn.Module) -> nn.Module:
    """Remove the wrappers that trainers leave around ``forward``, and cast weights to float32.

    accelerate leaves its autocast there, and Lightning the compiled forward of the original module,
    which a copy would call too.
    """
    compiled = model.__dict__.pop("_compiler_ctx", None) or {}
    forward = model.__dict__.pop("_original_forward", compiled.get("original_forward"))
    if forward is not None:
        model.__dict__["forward"] = forward
    return model.float()


class _Scores(nn.Module):
    """A model that returns only its logits."""

    def __init__(self, model: nn.Module, classes: int) -> None:
        super().__init__()
        self.model = model
        self._classes = classes

    def forward(self, inputs: Tensor) -> Tensor:
        return scores_of(self.model(inputs, **padding_mask(self.model, inputs)), self._classes)


def _as_contiguous_input(inputs: NDArray[Any], task: Task, model: nn.Module) -> Tensor:
    return as_model_input(inputs, task, model).contiguous()


def _exported(model: nn.Module, example: Tensor) -> bytes:
    hint = "the model's forward has to be traceable for any batch size; see torch.export"
    with tempfile.TemporaryDirectory() as folder, exporting("PyTorch", hint):
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (example,),
            path,
            dynamo=True,
            input_names=[EXPORT_INPUT],
            output_names=[EXPORT_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            external_data=False,
            verbose=False,
        )
        return path.read_bytes()
