"""``wmx embed --framework keras``: models of the user and of Keras, and a step traced once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from networks import BACKEND, OwnStep
from support.fixed import fixed_watermark

import wmx_keras._training.learner
from wmx import OwnerKey
from wmx.cli import run
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData, load_data
from wmx.training.loop import fit
from wmx_keras._training.models import build_model

steps: list[int] = []


class Counted(OwnStep):
    """Says when its step is called or traced."""

    def train_step(self, *arguments: Any) -> Any:
        steps.append(1)
        return super().train_step(*arguments)


def counted(*, input_shape: tuple[int, ...], num_classes: int) -> Any:
    assert (input_shape, num_classes) == ((8, 8, 1), 10)
    return Counted()


def few_digits() -> LabeledData:
    data = load_data("digits")
    return replace(data, x_train=data.x_train[:330], y_train=data.y_train[:330])


def test_three_epochs_of_a_run_trace_the_step_once() -> None:
    data = few_digits()
    watermark = fixed_watermark(data.task)
    training = Training(model="test_trainer:counted", epochs=3, device="cpu", lr=0.05)
    steps.clear()
    fit(wmx_keras._training.learner, data, data.task, watermark, training)
    assert len(steps) == (9 if BACKEND == "torch" else 1)


def test_a_model_of_keras_applications_is_marked_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """MobileNet takes 32 x 32 pixels at the least: the digits, each pixel four times as large."""
    data = few_digits()
    large = data.x_train[:80].repeat(4, axis=1).repeat(4, axis=2)
    np.savez(tmp_path / "large.npz", x=large, y=data.y_train[:80])
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    OwnerKey.generate().save(tmp_path / "owner.pem")
    command = ["embed", "--framework", "keras", "--data", "large.npz", "--key", "owner.pem"]
    settings = ["--epochs", "1", "--batch-size", "32", "-n", "41", "-o", "out", "--json"]
    code = run([*command, *settings, "--model", "keras.applications:MobileNet"])
    fields = json.loads(capfd.readouterr().out)
    assert fields["exit_code"] == code == 1, "one epoch is not enough, but the file was verified"
    assert fields["n"] == 41
    assert (tmp_path / "out" / "model.onnx").exists()


def test_models_that_cannot_be_are_named() -> None:
    images, features = Task.of((8, 8, 1), 10), Task.of((8,), 10, kind="features")
    for spec, task, message in (
        ("keras.applications:Nothing", images, "has no 'Nothing'"),
        ("keras.applications:MobileNet", features, "is for images"),
        ("cnn", features, "the model cnn is for images"),
        ("test_trainer:few_digits", images, "failed: TypeError"),
        ("test_trainer:no_model", images, "expected a keras.Model"),
    ):
        with pytest.raises((UsageError, CannotRunError), match=message):
            build_model(spec, task, None, 0)
    with pytest.raises(CannotRunError, match=r"images \(8, 8, 1\) failed"):
        build_model("keras.applications:MobileNet", images, None, 0)


def no_model(*, input_shape: tuple[int, ...], num_classes: int) -> Any:
    return keras.layers.Dense(num_classes)
