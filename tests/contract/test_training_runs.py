"""The training run behind ``wmx embed``, with every adapter: resumed, and from saved weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixed import fixed_watermark

from wmx import UsageError
from wmx.data import load_data
from wmx.trainer import evaluate, fit
from wmx.training import EpochDone, Training

SHORT = Training(model="mlp", epochs=3, device="cpu", lr=0.05)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
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
