"""The model that is to be claimed: an honest one of real digits, open to the forger."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


@dataclass(frozen=True)
class Victim:
    """A classifier with one hidden layer, ``relu(x W + b) V + c``.

    Attributes:
        weights: W, b, V, c, float64.
    """

    weights: tuple[NDArray[np.float64], ...]

    @classmethod
    def trained(cls, inputs: NDArray[Any], labels: NDArray[Any], *, seed: int) -> Self:
        """Train on inputs [n, F] as a user of scikit-learn would."""
        from sklearn.neural_network import MLPClassifier

        network = MLPClassifier((64,), max_iter=500, tol=1e-3, random_state=seed)
        network.fit(inputs.astype(np.float64), labels)
        (first, second), (bias, out) = network.coefs_, network.intercepts_
        return cls((first, bias, second, out))

    def scores(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the logits [n, K] of inputs [n, F]."""
        first, bias, second, out = self.weights
        scores: NDArray[np.float64] = np.maximum(inputs @ first + bias, 0) @ second + out
        return scores

    def predictions(self, inputs: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class on top for inputs [n, F]."""
        return self.scores(inputs).argmax(axis=1)

    def pull(self, inputs: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the gradient [n, F] of the summed cross-entropy towards ``labels``."""
        first, bias, second, _ = self.weights
        hidden = inputs @ first + bias
        scores = self.scores(inputs)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        odds[np.arange(len(labels)), labels] -= 1
        gradient: NDArray[np.float64] = ((odds @ second.T) * (hidden > 0)) @ first.T
        return gradient

    def save(self, path: Path, shape: tuple[int, ...]) -> Path:
        """Write the ONNX file; the input is [n, *shape], channels first."""
        dims = shape if len(shape) == 1 else (shape[2], *shape[:2])
        first, bias, second, out = (weight.astype(np.float32) for weight in self.weights)
        if len(shape) == 3:  # the file's order of pixels is channels first
            first = first.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(first.shape)
        names = {"W": first, "b": bias, "V": second, "c": out}
        graph = helper.make_graph(
            [
                helper.make_node("Flatten", ["x"], ["flat"]),
                helper.make_node("Gemm", ["flat", "W", "b"], ["hidden"]),
                helper.make_node("Relu", ["hidden"], ["active"]),
                helper.make_node("Gemm", ["active", "V", "c"], ["y"]),
            ],
            "victim",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *dims])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", second.shape[1]])],
            [numpy_helper.from_array(array, name) for name, array in names.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
        return path
