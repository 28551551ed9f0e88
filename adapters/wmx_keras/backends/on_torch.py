"""Keras on PyTorch, and its ``DataLoader``."""

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
    """Return standard normal draws that hang on (seed, step, place in the list) alone."""
    generators: dict[torch.device, torch.Generator] = {}
    draws = []
    for value in values:
        if value.device not in generators:
            generator = torch.Generator(value.device)
            generators[value.device] = generator.manual_seed((seed * 2**32 + int(step)) % 2**64)
        draws.append(torch.empty_like(value).normal_(generator=generators[value.device]))
    return draws


def gradients(loss: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of ``loss`` at ``values``."""
    with torch.enable_grad():
        leaves = [value.detach().requires_grad_() for value in values]
        found = torch.autograd.grad(loss(leaves), leaves, allow_unused=True)
    return [
        torch.zeros_like(value) if gradient is None else gradient
        for value, gradient in zip(values, found, strict=True)
    ]


def where_due(due: Any, added: Callable[[], list[Any]], nothing: list[Any]) -> list[Any]:
    """Return what is added where it is due, else ``nothing``."""
    return added() if due else nothing


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` as one that ``torch.compile`` calls as it stands.

    What hangs on the number of the step would be compiled anew at every one.
    """
    kept: Callable[..., Any] = torch.compiler.disable(function)
    return kept


def onnx_bytes(network: Callable[[Any], Any], model: Any, task: Task) -> bytes:
    """Return the ONNX file of ``network``, written by torch.onnx."""
    import tempfile
    from pathlib import Path

    import onnxscript  # noqa: F401  # torch.onnx needs it, and would say so late

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, inputs: Any) -> Any:
            return network(inputs)

    device = next((v.value.device for v in model.variables), torch.device("cpu"))
    example = torch.from_numpy(task.example_inputs(2, seed=0)).to(device)
    hint = "its call has to be traceable for any batch size; see torch.export"
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
    """Say whether PyTorch finds a GPU."""
    return torch.cuda.is_available()


def streams_kept() -> AbstractContextManager[Any]:
    """Return a context that leaves PyTorch's stream as found: its loaders draw from it."""
    kept: AbstractContextManager[Any] = torch.random.fork_rng(devices=[])
    return kept


def is_loader(data: Any) -> bool:
    """Say whether ``data`` is a ``DataLoader``."""
    return isinstance(data, DataLoader)


def marked_loader(loader: Any, make: Callable[[int], MarkedBatches]) -> Any:
    """Return the loader with triggers behind every batch; samplers and workers stay its own."""
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
    """Return a tensor or an array with more rows behind its own."""
    if isinstance(part, torch.Tensor):
        return torch.cat([part, torch.as_tensor(rows).to(part.device, part.dtype)])
    return join_arrays(part, rows)
