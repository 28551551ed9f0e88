"""Networks whose layers learn their shapes from the first input."""

import pytest
import torch
from torch import nn

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx_torch._training.models import build_model

TASK = Task.of((8, 8, 1), 10)


def lazy(*, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(num_classes)
    )


def unfit(*, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    return nn.Sequential(nn.LazyConv3d(4, 9), nn.LazyLinear(num_classes))


def test_lazy_layers_are_given_their_shapes_before_training() -> None:
    model = build_model(f"{__name__}:lazy", TASK)
    assert model.training
    assert sum(parameter.numel() for parameter in model.parameters()) > 1000
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_lazy_layers_that_take_no_such_input_are_refused_in_words() -> None:
    with pytest.raises(CannotRunError, match=r"the lazy layers of .*:unfit have no shapes yet"):
        build_model(f"{__name__}:unfit", TASK)
