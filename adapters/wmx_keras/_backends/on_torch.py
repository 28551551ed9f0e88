"""Code for Keras on PyTorch, and for PyTorch's ``DataLoader``."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from wmx.errors import UsageError
from wmx.protocol.task import Task
from wmx.training.export import EXPORT_INPUT, EXPORT_OUTPUT, exporting
from wmx.training.trigger_batches import MarkedBatches, join_arrays


def normals(values: list[Any], seed: int, step: Any) -> list[Any]:
    """Return standard normal draws that depend on (seed, step, index in the list) alone.

    Args:
        values: give shapes and dtypes.
        seed: of the run.
        step: an integer, may be a tensor.
    """
    generators: dict[torch.device, torch.Generator] = {}
    draws = []
    for value in values:
        if value.device not in generators:
            generator = torch.Generator(value.device)
            generators[value.device] = generator.manual_seed((seed * 2**32 + int(step)) % 2**64)
        draws.append(torch.empty_like(value).normal_(generator=generators[value.device]))
    return draws


def gradients(loss: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of a loss.

    Args:
        loss: of a list of tensors.
        values: where to take the gradient.
    """
    with torch.enable_grad():
        leaves = [value.detach().requires_grad_() for value in values]
        found = torch.autograd.grad(loss(leaves), leaves, allow_unused=True)
    return [
        torch.zeros_like(value) if gradient is None else gradient
        for value, gradient in zip(values, found, strict=True)
    ]


def where_due(due: Any, added: Callable[[], list[Any]], nothing: list[Any]) -> list[Any]:
    """Return the result of ``added`` if the condition holds, else ``nothing``.

    Args:
        due: the condition, bool [].
        added: the computation.
        nothing: tensors of the same shapes.
    """
    return added() if due else nothing


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function``, excluded from ``torch.compile``.

    Code that depends on the step number would be recompiled at every step.
    """
    kept: Callable[..., Any] = torch.compiler.disable(function)
    return kept


def onnx_bytes(network: Callable[[Any], Any], model: Any, task: Task) -> bytes:
    """Export a function with torch.onnx and return the ONNX file.

    Args:
        network: maps inputs to scores.
        model: that ``network`` calls.
        task: gives the inputs' shape and dtype.
    """
    import tempfile
    from pathlib import Path

    import onnxscript  # noqa: F401  # torch.onnx needs it; fail early

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, inputs: Any) -> Any:
            return network(inputs)

    device = next((v.value.device for v in model.variables), torch.device("cpu"))
    example = torch.from_numpy(task.example_inputs(2, seed=0)).to(device)
    hint = "the model's call has to be traceable for any batch size; see torch.export"
    with tempfile.TemporaryDirectory() as folder, exporting("PyTorch", hint):
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            Network().eval(),
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


def has_gpu() -> bool:
    """Return whether PyTorch finds a GPU."""
    return torch.cuda.is_available()


def streams_kept() -> AbstractContextManager[Any]:
    """Return a context manager that restores PyTorch's global state, which its loaders use."""
    kept: AbstractContextManager[Any] = torch.random.fork_rng(devices=[])
    return kept


def is_loader(data: Any) -> bool:
    """Return whether ``data`` is a ``DataLoader``."""
    return isinstance(data, DataLoader)


def marked_loader(loader: Any, make: Callable[[int], MarkedBatches]) -> Any:
    """Return a copy of a loader that appends triggers to every batch.

    Args:
        loader: samplers and workers are kept.
        make: returns the triggers for a batch size.

    Raises:
        UsageError: the loader makes no batches.
    """
    if loader.batch_size is None:
        raise UsageError("this DataLoader does not make batches (batch_size=None)")
    marked = make(loader.batch_size)

    class MarkedLoader(type(loader)):  # type: ignore[misc]
        drawn = 0

        def __iter__(self) -> Iterator[Any]:
            for batch in super().__iter__():
                type(self).drawn += 1
                yield marked.append(batch, self.drawn - 1)

    result = copy.copy(loader)
    result.__dict__["_iterator"] = None
    result.__class__ = MarkedLoader
    return result


def join(part: Any, rows: NDArray[Any]) -> Any:
    """Append rows to a tensor or an array.

    Args:
        part: the caller's.
        rows: to append.
    """
    if isinstance(part, torch.Tensor):
        return torch.cat([part, torch.as_tensor(rows).to(part.device, part.dtype)])
    return join_arrays(part, rows)
