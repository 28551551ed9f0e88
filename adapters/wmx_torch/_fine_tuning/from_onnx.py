"""Converting an ONNX file into a PyTorch network that can be fine-tuned.

onnx2fx converts it and works on names and numbers of an untrusted file.  So it is only called in
the sandboxed process of :mod:`wmx_torch._fine_tuning.child`, on files that passed
:mod:`wmx.suspect.policy.onnx_rules`.
"""

import warnings
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from wmx._internal.text import printable
from wmx.errors import CannotRunError, MissingExtraError

STATISTICS = slice(3, 5)  # mean and variance, among the inputs of BatchNormalization
PROBABILITY_FLOOR = 1e-12
SUM_TOLERANCE = 1e-3


def converted(data: bytes) -> nn.Module:
    """Convert an ONNX file to a PyTorch network whose weights require a gradient.

    Floating-point tensors with two or more elements become weights, except BatchNorm statistics,
    which are constants in exported models and stay so.

    Raises:
        MissingExtraError: onnx2fx is not installed.
        CannotRunError: onnx2fx cannot convert the file.
    """
    try:
        import onnx2fx
        from onnx2fx.utils import sanitize_name
    except ModuleNotFoundError:
        raise MissingExtraError("onnx2fx", "dispute") from None
    proto = onnx.load_model_from_string(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an untrusted file can provoke any of PyTorch's
        try:
            network: nn.Module = onnx2fx.convert(proto)
        except Exception as error:  # an untrusted file can provoke any
            raise CannotRunError(
                f"the model cannot be converted to PyTorch: {printable(str(error), 200)}",
                hint="onnx2fx supports the operators of most float exports, not of int8 files",
            ) from None
    constant = {
        sanitize_name(name)
        for node in proto.graph.node
        if node.op_type == "BatchNormalization"
        for name in node.input[STATISTICS]
    }
    for name, tensor in list(network.named_buffers(recurse=False)):
        if tensor.is_floating_point() and tensor.numel() > 1 and name not in constant:
            delattr(network, name)
            network.register_parameter(name, nn.Parameter(tensor.float().clone()))
    return network


class Fed(nn.Module):
    """Adapts a converted network to the inputs and outputs of the built-in training loop.

    Attributes:
        network: what :func:`converted` returned.
    """

    def __init__(self, network: nn.Module, layout: str, output: int) -> None:
        """Wrap a network.

        Args:
            network: what :func:`converted` returned.
            layout: of its input, such as ``"NHWC"``.
            output: index of the output with the scores.
        """
        super().__init__()
        self.network = network
        self._layout = layout
        self._output = output

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, C, H, W] images, features or tokens -> logits [N, K]."""
        match self._layout:
            case "NHWC":
                inputs = inputs.permute(0, 2, 3, 1)
            case "NHW":
                inputs = inputs[:, 0]
        scores = outputs_of(self.network(inputs))[self._output]
        scores = scores.reshape(len(scores), -1)
        return scores.clamp_min(PROBABILITY_FLOOR).log() if _are_probabilities(scores) else scores


def outputs_of(answer: Any) -> list[Tensor]:
    """Return all outputs of a converted network as a list."""
    return list(answer) if isinstance(answer, tuple | list) else [answer]


@torch.no_grad()
def _are_probabilities(scores: Tensor) -> bool:
    sums = scores.sum(dim=1)
    return bool((scores >= 0).all() and ((sums - 1).abs() < SUM_TOLERANCE).all())
