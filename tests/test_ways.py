"""The mixture over ways and windows: what chance can reach, and that it is counted once."""

from itertools import product
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmx import OwnerKey, Watermark
from wmx.answers import Answers
from wmx.ways import SHIFTS, Way, Weight, play, price_of, weigh
from wmx.window import Window

WATERMARK = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=3, n=12)


def window_of(labels: list[int] | np.ndarray) -> Window:
    values = np.asarray(labels, dtype=np.int64)
    return Window(WATERMARK.claim, 0, WATERMARK.triggers[: len(values)], values)


def answers(seed: int, n: int, columns: int = 3) -> Answers:
    return Answers.from_scores(np.random.default_rng(seed).normal(size=(n, columns)))


def all_ways(seed: int, n: int) -> dict[Way, Answers]:
    """Two plain ways and a few shifts, one of which stopped early."""
    plain = [Way("NCHW", "y"), Way("NHWC", "y")]
    moved = [Way("NCHW", "y", shift) for shift in SHIFTS[:3]]
    found = {way: answers(seed + i, n) for i, way in enumerate([*plain, *moved])}
    found[moved[0]] = found[moved[0]][: n // 2]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_running_bits_are_those_of_every_prefix(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, 12)
    given_answers = all_ways(seed, 12)
    running = weigh(given_answers, window_of(labels), price=2.5).running_bits()
    for m in range(1, 13):
        cut = {way: found[:m] for way, found in given_answers.items()}
        prefix = weigh(cut, window_of(labels[:m]), price=2.5)
        assert running[m - 1] == pytest.approx(prefix.bits, abs=1e-9)


def test_a_way_that_stopped_keeps_what_it_had() -> None:
    labels = np.random.default_rng(5).integers(0, 3, 12)
    whole = answers(1, 12)
    alone = play({Way("NCHW", "y"): whole[:5]}, labels, WATERMARK.task)[0].running(12)
    assert alone[4:] == pytest.approx(np.full(8, alone[4]))


def windows(labels: tuple[int, ...], suspect: Answers) -> list[np.ndarray]:
    """Return, for every possible start, the wealth after each trigger of the window from there."""
    n = len(labels)
    found = []
    for start in range(n):
        weight: Weight = weigh(
            {Way("NCHW", "y"): suspect[start:]},
            window_of(list(labels[start:])),
            price=price_of(1, starts=n),
        )
        found.append(2.0 ** weight.running_bits())
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_over_starts_has_mean_one_half_over_all_label_sequences(seed: int) -> None:
    """Exact: plain ways of an image have one half of the mixture, and no shift is played here."""
    n, classes = 5, 3
    suspect = answers(seed, n)
    totals = [
        sum(wealth[-1] for wealth in windows(labels, suspect))
        for labels in product(range(classes), repeat=n)
    ]
    assert np.mean(totals) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_chance_reaches_b_bits_in_any_window_at_most_once_in_2_to_the_b(seed: int) -> None:
    """The best start and the best moment to stop, both chosen with every label known."""
    n, classes = 5, 3
    suspect = answers(seed, n)
    best = np.array(
        [
            max(wealth.max() for wealth in windows(labels, suspect))
            for labels in product(range(classes), repeat=n)
        ]
    )
    for bits in np.arange(-3.0, 6.0, 0.25):
        assert (best >= 2.0**bits).mean() <= 2.0**-bits


def test_prices() -> None:
    assert price_of(1) == 0
    assert price_of(8) == 3
    assert price_of(4, starts=100) == pytest.approx(2 + log2(100))


@given(st.integers(1, 12))
def test_the_first_of_a_window_are_its_first(count: int) -> None:
    window = WATERMARK.window(3)
    first = window.first(count)
    assert first.start == 3
    assert len(first) == min(count, 9)
    assert (first.labels == WATERMARK.labels[3:][:count]).all()
    assert (first.triggers == WATERMARK.triggers[3:][:count]).all()
    assert str(WATERMARK.triggers[3][0]) not in repr(first)
