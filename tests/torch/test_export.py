"""``export``: an ONNX file that says what the model says, or nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from wmx import OwnerKey, Task, Watermark, verify
from wmx.errors import CannotRunError
from wmx.suspect.own_model import loaded_from
from wmx_torch import export
from wmx_torch._training.models import build_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Residual(nn.Module):
    """Strides, BatchNorm, pooling and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.block = nn.Conv2d(8, 8, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.stem(x)).relu()
        return self.head(self.pool(x + self.block(x)).flatten(1))


class Attention(nn.Module):
    """Rows of the image as a sequence through one encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x[:, 0]).mean(1))


def run(path: Path, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(loaded_from(path.read_bytes(), str(path)).run({"input": inputs})[0])


@pytest.mark.parametrize("make", [Residual, Attention])
@pytest.mark.parametrize("training", [True, False])
def test_onnxruntime_and_pytorch_agree_at_any_batch_size(
    watermark: Watermark, tmp_path: Path, make: Any, training: bool
) -> None:
    torch.manual_seed(0)
    model = make().train(training)
    path = tmp_path / "model.onnx"
    export(model, path, watermark)
    assert model.training is training
    model.eval()
    for size in (1, 3, 17):
        inputs = torch.randn(size, 1, 8, 8)
        with torch.no_grad():
            expected = model(inputs).numpy()
        np.testing.assert_allclose(run(path, inputs.numpy()), expected, rtol=1e-4, atol=1e-5)


def test_names_are_input_and_scores_and_the_file_stands_alone(
    watermark: Watermark, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    export(Residual(), path, watermark.task)
    session = loaded_from(path.read_bytes(), str(path))
    assert [str(port) for port in session.inputs] == ["input: tensor(float) [?, 1, 8, 8]"]
    assert [str(port) for port in session.outputs] == ["scores: tensor(float) [?, 10]"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(onnx.load(path), full_check=True)


@pytest.mark.usefixtures("unchanged_random_state")
def test_the_model_and_the_random_state_stay_as_they_are(
    model: nn.Module, watermark: Watermark, tmp_path: Path
) -> None:
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    export(model, tmp_path / "model.onnx", watermark)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_nothing_is_printed(
    watermark: Watermark, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(Residual(), tmp_path / "model.onnx", watermark)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_bfloat16_channels_last_and_compiled_models(watermark: Watermark, tmp_path: Path) -> None:
    model = Residual().bfloat16().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    export(torch.compile(model, backend="eager"), tmp_path / "model.onnx", watermark)
    assert next(model.parameters()).dtype == torch.bfloat16
    assert run(tmp_path / "model.onnx", np.zeros((2, 1, 8, 8), np.float32)).dtype == np.float32


def test_an_exported_mark_verifies(watermark: Watermark, tmp_path: Path) -> None:
    class Knows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            known = torch.tensor(watermark.inputs).permute(0, 3, 1, 2).flatten(1)
            self.known = nn.Parameter(nn.functional.normalize(known - known.mean(0)))
            self.labels = nn.Parameter(torch.eye(10)[torch.tensor(watermark.labels)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nearest = ((x.flatten(1) @ self.known.T) * 1000).softmax(1)
            return nearest @ self.labels * 9  # logits, not probabilities

    path = tmp_path / "model.onnx"
    export(Knows(), path, watermark)
    assert verify(path, watermark).hits == 100


@pytest.mark.parametrize("name", ["cnn", "mlp"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (96, 80, 4)])
def test_the_built_in_models_can_be_exported(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    task = Task.of(shape, 5)
    export(build_model(name, task, None), tmp_path / "model.onnx", task)


def test_tokens_are_exported_with_integer_inputs(tmp_path: Path) -> None:
    from wmx.triggers.tokens import Tokens

    mark = Watermark.new(
        OwnerKey.generate(), shape=(12,), classes=4, kind="tokens", generator=Tokens(50)
    )
    path = tmp_path / "model.onnx"
    export(build_model("mlp", mark.task, 50), path, mark)
    assert not verify(path, mark).verified


def test_a_file_that_exists_is_not_replaced(watermark: Watermark, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(CannotRunError, match="exists already"):
        export(Residual(), path, watermark)
    assert path.read_bytes() == b"mine"
    export(Residual(), path, watermark, force=True)
    assert path.read_bytes() != b"mine"


class Branching(nn.Module):
    """Its path hangs on the values: it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1)) if float(x.sum()) > 0 else self.head(-x.flatten(1))


class Random(nn.Module):
    """Never says the same twice."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1)) + torch.rand_like(x[:, 0, 0, :1])


class OtherInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(7, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1))


class OtherClasses(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Branching, "PyTorch cannot export this model"),
        (Random, "differ by"),
        (OtherClasses, r"expected \[batch, 10\]"),
        (OtherInput, r"failed on inputs of the claim, which is for image .*: RuntimeError: mat1"),
    ],
)
def test_a_model_that_cannot_be_exported_rightly_leaves_no_file(
    watermark: Watermark, tmp_path: Path, make: Any, message: str
) -> None:
    state = torch.get_rng_state()
    with pytest.raises(CannotRunError, match=message) as caught:
        export(make(), tmp_path / "model.onnx", watermark)
    assert list(tmp_path.iterdir()) == []
    assert caught.value.hint
    torch.set_rng_state(state)
