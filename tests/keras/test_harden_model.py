"""``harden_model``: the recipe's gradient reaches every update, however the model is trained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from added_gradients import States, added, wanted
from networks import BACKEND, OwnStep, Subclassed, functional, sequential
from training import Digits, batches, compiled, fitted

from wmx import Watermark
from wmx_keras import harden_model


def require_recipe(
    states: States,
    twin: Any,
    digits: Digits,
    watermark: Watermark,
    *,
    together: int = 1,
    xla: bool = False,
    atol: float = 1e-5,
) -> None:
    """The recipe's gradient was added, and added alone, at every update."""
    steps = len(states.weights) - 1
    updates = steps // together
    found = added(states, twin, batches(digits, steps), together)
    recipes = wanted(states, twin, watermark, updates, together=together, xla=xla)
    for update, recipe in enumerate(recipes):
        norm = np.sqrt(sum(float(np.square(part).sum()) for part in recipe))
        assert (0.1 < norm <= 1 + 1e-4) if update % 4 == 0 else norm == 0
        for own, other in zip(found[update], recipe, strict=True):
            np.testing.assert_allclose(own, other, atol=atol)


NETWORKS = {
    "functional": functional,
    "sequential": sequential,
    "subclassed": Subclassed,
    "own train step": OwnStep,
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_the_gradient_is_added_at_every_fourth_update_and_no_other(
    make: Callable[[], Any], digits: Digits, watermark: Watermark
) -> None:
    model = harden_model(make(), watermark)
    assert isinstance(model, type(make()))
    states = fitted(compiled(model), digits)
    twin = make()
    twin(digits[0][:1])
    require_recipe(states, compiled(twin), digits, watermark)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_it_is_added_to_compiled_steps_and_to_others(
    jit_compile: bool, digits: Digits, watermark: Watermark, monkeypatch: pytest.MonkeyPatch
) -> None:
    if BACKEND == "torch":
        import torch  # Dynamo traces the step as ever; what Inductor makes of it takes a minute

        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    model = compiled(harden_model(sequential(), watermark), jit_compile=jit_compile)
    xla = jit_compile and BACKEND == "tensorflow"
    require_recipe(fitted(model, digits), compiled(sequential()), digits, watermark, xla=xla)


@contextmanager
def policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(name: str, digits: Digits, watermark: Watermark) -> None:
    def optimizer() -> Any:
        inner = keras.optimizers.SGD(1.0)
        scaled = keras.optimizers.LossScaleOptimizer(inner, initial_scale=64.0)
        return scaled if name == "mixed_float16" else inner

    with policy(name):
        model, twin = harden_model(sequential(), watermark), sequential()
    states = fitted(compiled(model, optimizer()), digits)
    require_recipe(states, compiled(twin, optimizer()), digits, watermark, atol=0.01)


def test_a_step_that_overflows_changes_nothing(digits: Digits, watermark: Watermark) -> None:
    inner = keras.optimizers.SGD(1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**60)
    with policy("mixed_float16"):
        model = harden_model(sequential(), watermark)
    states = fitted(compiled(model, optimizer), digits, 1)
    for before, after in zip(*states.weights, strict=True):
        np.testing.assert_array_equal(before, after)
    assert int(inner.iterations) == 0


def test_a_loss_scale_of_the_optimizers_own_is_met(digits: Digits, watermark: Watermark) -> None:
    def optimizer() -> Any:
        return keras.optimizers.SGD(1.0, loss_scale_factor=64.0)

    model = compiled(harden_model(sequential(), watermark), optimizer())
    twin = compiled(sequential(), optimizer())
    require_recipe(fitted(model, digits), twin, digits, watermark)


def test_accumulated_gradients_get_it_once_per_update(digits: Digits, watermark: Watermark) -> None:
    def optimizer() -> Any:
        return keras.optimizers.SGD(1.0, gradient_accumulation_steps=3)

    model = compiled(harden_model(sequential(), watermark), optimizer())
    twin = compiled(sequential(), optimizer())
    require_recipe(fitted(model, digits, 15), twin, digits, watermark, together=3)
