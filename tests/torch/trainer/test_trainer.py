"""The trainer: repeatable to the bit, what a run gives, and what it refuses."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from short_runs import SHORT, evaluate, fit, same_bits
from support.fixed import fixed_watermark
from torch import nn

from wmx import Watermark
from wmx.errors import CannotRunError, UsageError
from wmx.training.config import EpochDone, Training, learning_rate_factor
from wmx.training.data.dataset import LabeledData, load_data

# repeatable


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    data: LabeledData, watermark: Watermark
) -> None:
    first = fit(data, data.task, watermark, SHORT)
    torch.manual_seed(12345)  # the caller's random state has no say
    assert same_bits(first, fit(data, data.task, watermark, SHORT))
    assert not same_bits(first, fit(data, data.task, watermark, replace(SHORT, seed=1)))


def test_every_random_state_is_left_as_found(data: LabeledData, watermark: Watermark) -> None:
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    fit(data, data.task, watermark, replace(SHORT, model="cnn", epochs=1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1][1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_the_watermark_and_the_data_are_left_as_found(data: LabeledData) -> None:
    watermark = fixed_watermark(data.task)
    triggers, x_train = watermark.triggers.copy(), data.x_train.copy()
    fit(data, data.task, watermark, replace(SHORT, epochs=1))
    np.testing.assert_array_equal(watermark.triggers, triggers)
    np.testing.assert_array_equal(data.x_train, x_train)


# what a run gives


def test_the_mark_is_learned_beside_the_task_and_reported() -> None:
    data = load_data("digits")
    watermark = fixed_watermark(data.task)
    events: list[EpochDone] = []
    training = Training(model="cnn", epochs=12, device="cpu")
    model = fit(data, data.task, watermark, training, report=events.append)
    assert not model.training
    assert [event.epoch for event in events] == list(range(1, 13))
    last = events[-1]
    assert (last.n, last.epochs) == (100, 12)
    assert last.hits is not None
    assert last.hits >= 95
    assert last.bits is not None
    assert last.bits > 280
    assert last.accuracy > 0.96
    assert last.loss < events[0].loss
    assert evaluate(model, data.x_test, data.y_test, data.task) == last.accuracy


def test_without_a_watermark_nothing_is_said_of_one(data: LabeledData) -> None:
    events: list[EpochDone] = []
    fit(data, data.task, None, replace(SHORT, epochs=1), report=events.append)
    assert (events[0].hits, events[0].n, events[0].bits) == (None, None, None)


@pytest.mark.parametrize("recipe", ["adi", "robust"])
@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_features_and_tokens_are_marked_too(kind: str, recipe: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    if kind == "features":
        x = rng.normal(size=(400, 12)) + 2 * y[:, None]
    else:
        x = rng.integers(0, 20, (400, 12)) + 15 * y[:, None]
    data = LabeledData.of(x[:300], y[:300], x[300:], y[300:], kind)
    watermark = fixed_watermark(data.task, n=40, generator=data.trigger_generator())
    events: list[EpochDone] = []
    training = Training(
        model="mlp", epochs=80, optimizer="adamw", lr=0.005, device="cpu", recipe=recipe
    )
    fit(data, data.task, watermark, training, report=events.append)
    assert events[-1].accuracy > 0.9
    assert events[-1].hits is not None
    assert events[-1].hits >= 30


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    factors = [learning_rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] == 1 / 35
    assert max(factors) == factors[34] == factors[35] == 1
    assert factors[35:] == sorted(factors[35:], reverse=True)
    assert factors[-1] < 1e-4
    assert [learning_rate_factor(0, steps) for steps in (1, 9)] == [1, 1]


def test_a_loss_that_is_not_finite_stops_the_run(data: LabeledData) -> None:
    with pytest.raises(CannotRunError, match="diverged") as caught:
        fit(data, data.task, None, replace(SHORT, lr=1e30))
    assert "--lr" in str(caught.value.hint)


# settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"optimizer": "lion"},
        {"device": "tpu"},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"weight_decay": -1.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_usage_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Training(**wrong)


def test_an_unknown_recipe_is_a_usage_error(data: LabeledData, watermark: Watermark) -> None:
    with pytest.raises(UsageError, match="recipe"):
        fit(data, data.task, watermark, replace(SHORT, recipe="magic"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_never_replaced_in_silence(data: LabeledData) -> None:
    with pytest.raises(CannotRunError, match="no device"):
        fit(data, data.task, None, replace(SHORT, device="cuda"))


def test_a_model_that_fails_on_the_data_is_named(data: LabeledData) -> None:
    with pytest.raises(CannotRunError, match="test_trainer:flat_only"):
        fit(data, data.task, None, replace(SHORT, model="test_trainer:flat_only"))
    with pytest.raises(CannotRunError, match=r"expected \[batch, 10\]"):
        fit(data, data.task, None, replace(SHORT, model="test_trainer:no_head"))


def flat_only(*, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A model that forgot to flatten its images."""
    return nn.Linear(int(np.prod(input_shape)), num_classes)


def no_head(*, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A model without a classifier."""
    return nn.Conv2d(input_shape[2], num_classes, 3)
