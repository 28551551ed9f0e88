"""The course of the bits, and the simulated models without the labels beside it."""

from dataclasses import replace

import numpy as np
import pytest
from findings import Case

from wmx.report import evidence_curve
from wmx.report.evidence_curve import Course, simulated_nulls
from wmx.statistics.mixture import score_predictions
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe

PLAIN = Probe("NCHW", "y")


def nulls(case: Case, **changes: object) -> np.ndarray:
    trigger_slice = replace(case.watermark.trigger_slice(), **changes)
    score = replace(case.verdict.score, penalty=0.0)
    return simulated_nulls(score, case.verdict.predictions, trigger_slice, np.random.default_rng(3))


def test_it_ends_at_the_bits_and_hits_of_the_verdict(case: Case) -> None:
    found = case.owners().course
    assert found.bits[-1] == pytest.approx(case.verdict.bits, abs=1e-9)
    assert found.hits.sum() == case.verdict.hits == 90
    assert not found.hits[::10].any()


def test_a_check_subtracts_the_penalty_for_its_start(case: Case) -> None:
    found = case.third_partys(case.checked).course
    assert found.start == case.proof.trigger_slice.start
    assert found.bits[-1] == pytest.approx(case.checked.bits, abs=1e-9)


def test_nulls_know_nothing_of_the_labels(case: Case) -> None:
    """They are the same whatever the labels are, and depend on the stream alone."""
    other = np.zeros_like(case.watermark.labels)
    np.testing.assert_array_equal(nulls(case), nulls(case, labels=other))
    np.testing.assert_array_equal(nulls(case), nulls(case))


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_nulls_keep_villes_inequality(case: Case, bits: int) -> None:
    highest = nulls(case).max(axis=1)
    assert len(highest) == evidence_curve.MOST_NULLS
    assert (highest >= bits).mean() <= 2.0**-bits


def test_nulls_of_a_suspect_that_puts_all_into_one_class_keep_it_too(case: Case) -> None:
    predictions = {PLAIN: Predictions.from_labels(np.zeros(100, np.int64), 10)}
    trigger_slice, stream = case.watermark.trigger_slice(), np.random.default_rng(5)
    score = score_predictions(predictions, trigger_slice, penalty=0.0)
    highest = simulated_nulls(score, predictions, trigger_slice, stream).max(axis=1)
    assert (highest >= 2).mean() <= 0.25


def test_fewer_nulls_where_each_takes_long(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_curve, "NULL_WORK", 50 * 100**2 * 10)
    assert len(nulls(case)) == 50
    monkeypatch.setattr(evidence_curve, "NULL_WORK", 1)
    assert len(nulls(case)) == evidence_curve.LEAST_NULLS


def test_the_plot_says_in_words_what_it_shows(case: Case) -> None:
    found = case.owners().course
    drawn = str(found.svg("mine"))
    assert f"{found.bits[-1]:.1f}" in drawn
    assert f"The highest of {len(found.nulls)} simulated models" in drawn
    assert "required: 128 bits" in drawn
    assert 'id="mine-title"' in drawn
    assert "var(--accent)" in drawn


def test_one_trigger_alone_can_be_drawn(case: Case) -> None:
    trigger_slice = case.watermark.trigger_slice().first(1)
    predictions = {probe: given[:1] for probe, given in case.verdict.predictions.items()}
    stream = np.random.default_rng(0)
    score = score_predictions(predictions, trigger_slice, penalty=0.0)
    found = Course.of(score, predictions, trigger_slice, required=128, stream=stream)
    assert "<svg" in found.svg()
