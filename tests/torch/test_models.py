"""Built-in networks: shapes, size, and what happens when a model does not fit."""

import sys
from pathlib import Path

import pytest
import torch

from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx_torch._training.models import build_model, cnn, mlp


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_network_of_the_published_figures_has_77754_parameters() -> None:
    assert parameters(cnn(input_shape=(28, 28, 1), num_classes=10)) == 77_754


@pytest.mark.parametrize(
    "shape",
    [(8, 8, 1), (8, 11, 2), (28, 28, 1), (32, 32, 3), (65, 65, 4), (96, 64, 3), (512, 512, 3)],
)
def test_cnn_takes_every_image_size_and_channel_count(shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    model = cnn(input_shape=shape, num_classes=7).eval()
    assert model(torch.zeros(2, channels, height, width)).shape == (2, 7)


def test_large_images_cost_no_more_memory_than_small_ones() -> None:
    """The first residual block never sees more than 64 x 64."""
    seen = []
    model = cnn(input_shape=(512, 512, 3), num_classes=2).eval()
    block = next(layer for layer in model if type(layer).__name__ == "ResidualBlock")
    block.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape))
    model(torch.zeros(1, 3, 512, 512))
    assert seen == [(1, 16, 64, 64)]


def test_mlp_takes_images_features_and_tokens() -> None:
    assert mlp(input_shape=(8, 8, 1), num_classes=3)(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert mlp(input_shape=(13,), num_classes=3)(torch.zeros(2, 13)).shape == (2, 3)
    tokens = torch.full((2, 5), 69, dtype=torch.int32)
    assert mlp(input_shape=(5,), num_classes=3, vocabulary=70)(tokens).shape == (2, 3)


def test_a_users_model_gets_the_shape_of_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("my_models.py").write_text(
        "from torch import nn\n"
        "def linear(*, input_shape, num_classes):\n"
        "    h, w, channels = input_shape\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(h * w * channels, num_classes))\n"
        "def wrong(*, input_shape, num_classes):\n"
        "    return 3\n"
        "def fails(*, input_shape):\n"
        "    return None\n"
    )
    task = Task.of((8, 9, 2), 5)
    model = build_model("my_models:linear", task)
    assert model(torch.zeros(1, 2, 8, 9)).shape == (1, 5)
    with pytest.raises(UsageError, match=r"returned int, expected a torch\.nn\.Module"):
        build_model("my_models:wrong", task)
    with pytest.raises(CannotRunError, match="num_classes"):
        build_model("my_models:fails", task)


def test_models_that_do_not_exist_or_fit() -> None:
    with pytest.raises(UsageError, match="expected cnn, mlp or"):
        build_model("resnet", Task.of((8, 8, 1), 5))
    with pytest.raises(UsageError, match="for images") as caught:
        build_model("cnn", Task.of((13,), 5, kind="features"))
    assert caught.value.hint == "--model mlp"
