"""Recipes: shares, passes through the triggers, and the variation of their values."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmx.errors import UsageError
from wmx.protocol.task import Task
from wmx.training.recipe import RECIPES, part_of, recipe_named, triggers_at

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


def test_brief_is_robust_with_more_of_everything() -> None:
    brief = RECIPES["brief"]
    assert replace(brief, name="robust", share=ROBUST.share, weight=ROBUST.weight) == ROBUST
    assert brief.triggers_per_batch(100) == 3 * ROBUST.triggers_per_batch(100)
    assert brief.weight > ROBUST.weight


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
    with pytest.raises(UsageError, match="recipe is 'rbust', expected one of adi, robust, brief"):
        recipe_named("rbust")


@given(
    batch_size=st.integers(1, 200),
    processes=st.integers(1, 16),
    number=st.integers(0, 50),
    name=st.sampled_from(sorted(RECIPES)),
)
def test_the_processes_share_the_places_of_a_global_batch_and_leave_none_out(
    batch_size: int, processes: int, number: int, name: str
) -> None:
    recipe = RECIPES[name]
    parts = [recipe.places(number, batch_size, i, processes) for i in range(processes)]
    taken = [place for part in parts for place in part]
    together = recipe.triggers_per_batch(batch_size * processes)
    assert taken == list(range(number * together, (number + 1) * together))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    first = [len(recipe.places(0, batch_size, i, processes)) for i in range(processes)]
    assert [len(part) for part in parts] == first


def test_small_batches_on_many_devices_keep_the_share() -> None:
    parts = [len(ROBUST.places(0, 8, process, 8)) for process in range(8)]
    assert sum(parts) == 3  # 4 % of 64, not one in each batch of 8
    assert parts[0] == 1  # whose BatchNorm statistics DistributedDataParallel gives to all


@given(st.lists(st.integers(0, 40), min_size=2, max_size=6).map(sorted), st.integers(0, 30))
def test_parts_next_to_each_other_join_without_a_gap(cuts: list[int], size: int) -> None:
    places = range(7, 7 + size)
    pieces = [part_of(places, a, b, 40) for a, b in itertools.pairwise([0, *cuts, 40])]
    assert [place for piece in pieces for place in piece] == list(places)
