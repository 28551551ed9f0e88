"""The training run behind ``wmx embed``, with every adapter: resumed, and from saved weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fixed import fixed_watermark

from wmx import verify
from wmx.attacks.attack import Framework, Target
from wmx.attacks.training.extraction import Extraction
from wmx.errors import UsageError
from wmx.training.config import EpochDone, Training
from wmx.training.data.dataset import load_data
from wmx.training.loop import evaluate, fit
from wmx.training.second_choice import representatives
from wmx.triggers.folder import Folder
from wmx.verification.verdict import judge

SHORT = Training(model="mlp", epochs=3, device="cpu", lr=0.05)


@pytest.mark.parametrize("model", ["mlp", pytest.param("cnn", marks=pytest.mark.slow)])
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(
    kit: Any, model: str, tmp_path: Path
) -> None:
    whole_set = load_data("digits")
    data = replace(whole_set, x_train=whole_set.x_train[:630], y_train=whole_set.y_train[:630])
    watermark = fixed_watermark(data.task)
    training = replace(SHORT, model=model)
    path = tmp_path / "run.safetensors"

    def interrupt(done: EpochDone) -> None:
        if done.epoch == 1:
            raise KeyboardInterrupt

    whole = fit(kit.ADAPTER, data, data.task, watermark, training)
    with pytest.raises(KeyboardInterrupt):
        fit(
            kit.ADAPTER,
            data,
            data.task,
            watermark,
            training,
            checkpoint=path,
            report=interrupt,
        )
    seen: list[int] = []
    resumed = fit(
        kit.ADAPTER,
        data,
        data.task,
        watermark,
        training,
        checkpoint=path,
        resume=True,
        report=lambda done: seen.append(done.epoch),
    )
    assert seen == [2, 3]
    for one, other in zip(kit.values(whole), kit.values(resumed), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    accuracy = evaluate(kit.ADAPTER, whole, data.x_test, data.y_test, data.task)
    assert accuracy > 0.5


def test_training_starts_from_saved_weights(kit: Any, tmp_path: Path) -> None:
    data = load_data("digits")
    first = fit(kit.ADAPTER, data, data.task, None, SHORT)
    path = tmp_path / "weights.safetensors"
    kit.ADAPTER.save_weights(path, first)
    still = Training(
        model="mlp", epochs=1, device="cpu", lr=1e-30, weight_decay=0, pretrained=path, seed=9
    )
    again = fit(kit.ADAPTER, data, data.task, None, still)
    for one, other in zip(kit.values(first), kit.values(again), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    with pytest.raises(UsageError, match="does not fit the model"):
        fit(kit.ADAPTER, data, data.task, None, Training(epochs=1, device="cpu", pretrained=path))


def test_a_marked_second_choice_verifies_after_export_and_in_a_copy_of_the_answers(
    kit: Any, tmp_path: Path
) -> None:
    data = load_data("digits")
    training = Training(model="mlp", epochs=40, device="cpu", recipe="extraction")
    images = representatives(data.x_train, data.y_train, 100, bytes(32))
    watermark = fixed_watermark(data.task, n=100, generator=Folder(images))
    model = fit(kit.ADAPTER, data, data.task, watermark, training)
    assert evaluate(kit.ADAPTER, model, data.x_test, data.y_test, data.task) > 0.9
    kit.ADAPTER.export(model, tmp_path / "model.onnx", data.task)
    assert verify(tmp_path / "model.onnx", watermark).bits > 128

    target = Target(
        model=tmp_path / "model.onnx",
        task=data.task,
        family=watermark.generator,
        data=data,
        queries=data.x_train,
        framework=Framework(kit.ADAPTER, "mlp", None, device="cpu"),
    )
    copies = {}
    for labels in ("soft", "hard"):
        folder = tmp_path / labels
        folder.mkdir()
        attack = Extraction(labels=labels, inputs="queries", epochs=40)
        (copy,) = attack.run(target, folder, lambda done, count: None)
        copies[labels] = judge(copy.suspect, watermark).bits
    assert copies["soft"] > 64
    assert copies["hard"] < 28
