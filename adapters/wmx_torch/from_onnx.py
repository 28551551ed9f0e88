"""An ONNX file as a PyTorch network that can be trained on.

By onnx2fx, whose code runs over the file's own names and numbers: only ever called in the locked
process of :mod:`wmx_torch.tuning_child`, on files that passed :mod:`wmx.suspect.policy.onnx_rules`.
"""

import warnings
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from wmx._internal.printable import printable
from wmx.errors import CannotRunError, MissingExtraError

STATISTICS = slice(3, 5)  # mean and variance among the inputs of BatchNormalization
PROBABILITY_FLOOR = 1e-12
SUM_TOLERANCE = 1e-3


def converted(data: bytes) -> nn.Module:
    """Return the network of an ONNX file; its weights require a gradient.

    Weights are floating-point tensors of two values or more.  The statistics of BatchNorm are none:
    exported models hold them as constants, and they stay so.

    Raises:
        MissingExtraError: onnx2fx is not installed.
        CannotRunError: the file holds what onnx2fx cannot bring into PyTorch.
    """
    try:
        import onnx2fx
        from onnx2fx.utils import sanitize_name
    except ModuleNotFoundError:
        raise MissingExtraError("onnx2fx", "dispute") from None
    proto = onnx.load_model_from_string(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever a stranger's file makes PyTorch warn of
        try:
            network: nn.Module = onnx2fx.convert(proto)
        except Exception as error:  # its errors, PyTorch's, and whatever a strange file provokes
            raise CannotRunError(
                f"the model cannot be brought into PyTorch: {printable(str(error), 200)}",
                hint="onnx2fx knows the operators of most float exports, not those of int8 files",
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
    """A converted network that takes and gives what the trainer does.

    Attributes:
        network: what :func:`converted` returned.
    """

    def __init__(self, network: nn.Module, layout: str, output: int) -> None:
        """Wrap it.

        Args:
            network: what :func:`converted` returned.
            layout: of its input, as :class:`wmx.suspect.inputs.Feeding` names it.
            output: number of the output with the scores.
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
    """Return all outputs of a converted network."""
    return list(answer) if isinstance(answer, tuple | list) else [answer]


@torch.no_grad()
def _are_probabilities(scores: Tensor) -> bool:
    sums = scores.sum(dim=1)
    return bool((scores >= 0).all() and ((sums - 1).abs() < SUM_TOLERANCE).all())
