"""Recipes: shares, passes through the triggers, and the variation of their values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmx import UsageError
from wmx.recipe import RECIPES, recipe_named, triggers_at
from wmx.task import Task

ROBUST = RECIPES["robust"]


@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 2**32 - 1),
    first=st.integers(0, 500),
    count=st.integers(0, 200),
)
def test_the_row_of_passes_is_the_same_wherever_one_starts_to_read(
    n: int, seed: int, first: int, count: int
) -> None:
    whole = triggers_at(n, seed, 0, first + count)
    assert (triggers_at(n, seed, first, count) == whole[first:]).all()


@given(n=st.integers(1, 60), seed=st.integers(0, 2**32 - 1), number=st.integers(0, 9))
def test_every_pass_holds_every_trigger_once(n: int, seed: int, number: int) -> None:
    assert sorted(triggers_at(n, seed, number * n, n)) == list(range(n))


def test_two_passes_differ() -> None:
    assert (triggers_at(100, 0, 0, 100) != triggers_at(100, 0, 100, 100)).any()


def test_augmentation_follows_its_formula() -> None:
    pixels = np.random.default_rng(0).random((400, 6, 5, 3), dtype=np.float32)
    varied = ROBUST.augmented(pixels, np.random.default_rng(1))
    assert varied.dtype == np.float32
    assert varied.shape == pixels.shape
    assert varied.min() >= 0
    assert varied.max() <= 1
    rng = np.random.default_rng(1)
    u, v, w = (rng.random((400, 1, 1, 1), dtype=np.float32) for _ in range(3))
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    expected = np.clip(pixels * (0.6 + 0.4 * u) + 0.1 * v + 0.15 * w * noise, 0, 1)
    np.testing.assert_allclose(varied, expected, rtol=1e-5, atol=1e-6)


def test_only_images_are_varied_and_only_by_robust() -> None:
    image = Task.of((4, 4, 1), 3, mean=0.5, std=0.25)
    triggers = np.full((2, 4, 4, 1), 255, np.uint8)
    rng = np.random.default_rng(0)
    plain = RECIPES["adi"].batch_inputs(triggers, image, rng)
    assert (plain == 2.0).all()
    assert (ROBUST.batch_inputs(triggers, image, rng) != 2.0).any()
    row = Task.of((4,), 3, kind="features")
    features = np.ones((2, 4), np.float32)
    assert (ROBUST.batch_inputs(features, row, rng) == features).all()


def test_an_unknown_recipe_names_those_there_are() -> None:
    assert recipe_named("robust") is ROBUST
    with pytest.raises(UsageError, match="recipe is 'rbust', expected one of adi, robust"):
        recipe_named("rbust")
