"""The mixture over ways and windows: what chance can reach, and that it is counted once."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmx import OwnerKey, Watermark
from wmx.statistics.mixture import EvidenceScore, Mixture, score_predictions
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, OTHER_ROWS, SHIFTS, Probe
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.selection import Selection

WATERMARK = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=3, n=12)


def trigger_slice_of(labels: list[int] | np.ndarray) -> TriggerSlice:
    values = np.asarray(labels, dtype=np.int64)
    return TriggerSlice(WATERMARK.claim, 0, WATERMARK.triggers[: len(values)], values)


def predictions(seed: int, n: int, columns: int = 3) -> Predictions:
    return Predictions.from_scores(np.random.default_rng(seed).normal(size=(n, columns)))


def all_probes(seed: int, n: int) -> dict[Probe, Predictions]:
    """Plain ways in several numbers of rows and a few shifts, one of which stopped early."""
    plain = [Probe("NCHW", "y"), Probe("NHWC", "y")]
    in_rows = [Probe("NCHW", "y", rows=ALONE), Probe("NCHW", "y", rows=OTHER_ROWS[1])]
    moved = [Probe("NCHW", "y", shift) for shift in SHIFTS[:3]]
    moved.append(Probe("NCHW", "y", SHIFTS[0], rows=ALONE))
    found = {probe: predictions(seed + i, n) for i, probe in enumerate([*plain, *in_rows, *moved])}
    found[moved[0]] = found[moved[0]][: n // 2]
    return found


def test_what_an_evidence_leaves_out_still_has_its_share() -> None:
    labels = np.random.default_rng(3).integers(0, 3, 12)
    probe, other = Probe("NCHW", "y", rows=ALONE), Probe("NCHW", "z", rows=ALONE)
    given_predictions = {probe: predictions(1, 12), other: predictions(2, 12)}
    both = score_predictions(given_predictions, trigger_slice_of(labels), penalty=0.0)
    one = score_predictions(
        {probe: predictions(1, 12)}, trigger_slice_of(labels), penalty=0.0, plain={ALONE: 2}
    )
    assert one.results[0].log2_share == both.results[0].log2_share
    assert one.bits == pytest.approx(both.results[0].bits + both.results[0].log2_share)
    assert one.bits < both.bits


@pytest.mark.parametrize("seed", range(3))
def test_bets_do_not_hang_on_how_many_answers_are_told_at_once(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, 12)
    given_predictions = all_probes(seed, 12)
    mixture = Mixture(trigger_slice_of(labels))
    for m in range(12):
        mixture.add(
            {
                probe: found[m : m + 1]
                for probe, found in given_predictions.items()
                if m < len(found)
            }
        )
        prefix = {probe: found[: m + 1] for probe, found in given_predictions.items()}
        assert mixture.bits == pytest.approx(
            score_predictions(prefix, trigger_slice_of(labels[: m + 1]), penalty=0.0).bits, abs=1e-9
        )
    whole = score_predictions(given_predictions, trigger_slice_of(labels), penalty=1.5)
    in_turn = mixture.score(1.5)
    assert in_turn.bits == pytest.approx(whole.bits, abs=1e-9)
    assert in_turn.hits == whole.hits
    for told, known in zip(mixture.predictions.values(), given_predictions.values(), strict=True):
        assert (told.scores == known.scores).all()


def test_a_way_that_answers_as_another_has_its_bets_and_its_own_share() -> None:
    labels = np.random.default_rng(5).integers(0, 3, 12)
    mixture = Mixture(trigger_slice_of(labels))
    together, alone = Probe("NCHW", "y"), Probe("NCHW", "y", rows=ALONE)
    mixture.add({together: predictions(1, 5)})
    half = mixture.bits
    mixture.add_same(alone, together)
    assert mixture.bits == pytest.approx(half + 1)
    assert mixture.tried == 1
    mixture.add({together: predictions(2, 7)})
    assert mixture.count(alone) == 12
    found = mixture.score(0.0)
    assert found.results[0].bits == found.results[1].bits
    assert score_predictions(
        mixture.predictions, trigger_slice_of(labels), penalty=0.0
    ).bits == pytest.approx(found.bits)


@pytest.mark.parametrize("seed", range(3))
def test_the_running_bits_are_those_of_every_prefix(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, 12)
    given_predictions = all_probes(seed, 12)
    running = score_predictions(
        given_predictions, trigger_slice_of(labels), penalty=2.5
    ).running_bits()
    for m in range(1, 13):
        cut = {probe: found[:m] for probe, found in given_predictions.items()}
        prefix = score_predictions(cut, trigger_slice_of(labels[:m]), penalty=2.5)
        assert running[m - 1] == pytest.approx(prefix.bits, abs=1e-9)


def test_a_way_that_stopped_keeps_what_it_had() -> None:
    labels = np.random.default_rng(5).integers(0, 3, 12)
    whole = predictions(1, 12)
    stopped = score_predictions(
        {Probe("NCHW", "y"): whole[:5]}, trigger_slice_of(labels), penalty=0.0
    )
    running = stopped.results[0].running(12)
    assert running[4:] == pytest.approx(np.full(8, running[4]))


def trigger_slices(labels: tuple[int, ...], suspect: Predictions) -> list[np.ndarray]:
    """Return, for every possible start, the wealth after each trigger of the window from there."""
    n = len(labels)
    found = []
    for start in range(n):
        score: EvidenceScore = score_predictions(
            {Probe("NCHW", "y"): suspect[start:]},
            trigger_slice_of(list(labels[start:])),
            penalty=Selection(starts=n).penalty,
        )
        found.append(2.0 ** score.running_bits())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_mean_over_starts_has_the_share_as_mean_over_all_label_sequences(seed: int) -> None:
    """Exact: what is asked together and as it is has a quarter, and nothing else is played here."""
    n, classes = 5, 3
    suspect = predictions(seed, n)
    totals = [
        sum(wealth[-1] for wealth in trigger_slices(labels, suspect))
        for labels in product(range(classes), repeat=n)
    ]
    assert np.mean(totals) == pytest.approx(0.25, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_mixture_over_rows_has_the_shares_as_mean_over_all_label_sequences(seed: int) -> None:
    """Exact, with a way that stopped, and one that has the answers of another."""
    n, classes = 5, 3
    given_predictions = all_probes(seed, n)
    given_predictions[Probe("NHWC", "y", rows=ALONE)] = given_predictions[Probe("NHWC", "y")]
    scores = [
        score_predictions(given_predictions, trigger_slice_of(list(labels)), penalty=0.0)
        for labels in product(range(classes), repeat=n)
    ]
    shares = sum(2.0**result.log2_share for result in scores[0].results)
    assert 0.5 < shares < 1
    assert np.mean([2.0**score.bits for score in scores]) == pytest.approx(shares, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_chance_reaches_b_bits_in_any_window_at_most_once_in_2_to_the_b(seed: int) -> None:
    """The best start and the best moment to stop, both chosen with every label known."""
    n, classes = 5, 3
    suspect = predictions(seed, n)
    best = np.array(
        [
            max(wealth.max() for wealth in trigger_slices(labels, suspect))
            for labels in product(range(classes), repeat=n)
        ]
    )
    for bits in np.arange(-3.0, 6.0, 0.25):
        assert (best >= 2.0**bits).mean() <= 2.0**-bits


@given(st.integers(1, 12))
def test_the_first_of_a_window_are_its_first(count: int) -> None:
    trigger_slice = WATERMARK.trigger_slice(3)
    first = trigger_slice.first(count)
    assert first.start == 3
    assert len(first) == min(count, 9)
    assert (first.labels == WATERMARK.labels[3:][:count]).all()
    assert (first.triggers == WATERMARK.triggers[3:][:count]).all()
    assert str(WATERMARK.triggers[3][0]) not in repr(first)
