"""Base class and helpers for attacks that rewrite an ONNX file."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wmx._internal.writing import write_bytes
from wmx.attacks.attack import Attack, Need, Outcome, Progress, Target
from wmx.errors import CannotRunError
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.own_model import OwnModel

KERNEL_AXES = 2  # biases and BatchNorm's vectors have one


@dataclass(frozen=True)
class GraphAttack(Attack):
    """An attack that changes only the graph or its weights."""

    needs: ClassVar[Need] = "file"

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Rewrite the file."""
        path = folder / "model.onnx"
        write_bytes(
            path, self.changed(load_graph(target.model, target.weights), target).SerializeToString()
        )
        yield target.outcome(OnnxFile.open_own(path, "cpu"))

    @abstractmethod
    def changed(self, model: Any, target: Target) -> Any:
        """Return the model after the attack.

        Args:
            model: the ``onnx.ModelProto``; may be changed in place.
            target: the model to attack, for its task and random streams.
        """


def load_graph(path: Path, weights: Iterable[Path] = ()) -> Any:
    """Load an ``onnx.ModelProto``.

    Args:
        path: of the ONNX file.
        weights: files beside it that hold its weights (ONNX external data).

    Raises:
        CannotRunError: the file cannot be read, or files with its weights are missing.
    """
    import onnx

    return onnx.load_from_string(OwnModel.read(path, weights).in_one("this attack"))


def kernels(model: Any) -> list[Any]:
    """Return the ``onnx.TensorProto`` of every float32 weight with two axes or more.

    Raises:
        CannotRunError: there is none.
    """
    import onnx

    found = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) >= KERNEL_AXES
    ]
    if not found:
        raise CannotRunError(
            "the file holds no float32 weights of two axes or more to change",
            hint="attack the file as it was exported, before quantization",
        )
    return found


def values_of(tensor: Any) -> NDArray[np.float32]:
    """Return a copy of a tensor's values."""
    from onnx import numpy_helper

    return np.array(numpy_helper.to_array(tensor))


def replace_values(tensor: Any, values: NDArray[np.float32]) -> None:
    """Replace the values of an ``onnx.TensorProto``, in place.

    Args:
        tensor: to change.
        values: of the same shape.
    """
    from onnx import numpy_helper

    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
