"""Answers that hang on what else is in the batch: nobody hides behind them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.batch_gates import (
    GATES,
    batch_normalised,
    behind_another_scaling,
    gated_model,
    with_a_low_score,
    with_moving_scores,
)
from support.fixed import OWNER

from wmx import Watermark, verify
from wmx.protocol.task import Task

TASK = Task.of((12, 10, 1), 10, mean=0.4, std=0.3)
MARK = Watermark.for_task(OWNER, TASK, salt=bytes(32))
OTHER = Watermark.for_task(OWNER, TASK, salt=bytes(31) + b"\x01")
MOST_BITS_OF_CHANCE = 20  # chance exceeds them once in 2^20


def written(folder: Path, model: bytes) -> Path:
    path = folder / "suspect.onnx"
    path.write_bytes(model)
    return path


@pytest.mark.parametrize("name", GATES)
def test_junk_to_some_batches_does_not_hide_a_mark(name: str, tmp_path: Path) -> None:
    verdict = verify(written(tmp_path, gated_model(MARK, name)), MARK)
    assert verdict.verified
    assert verdict.bits > 200


@pytest.mark.parametrize("build", [with_a_low_score, with_moving_scores, behind_another_scaling])
def test_single_rows_are_asked_though_they_seem_to_make_no_difference(
    build: Callable[[Watermark], bytes], tmp_path: Path
) -> None:
    """Beside large scores any other difference is as small as one of rounding."""
    verdict = verify(written(tmp_path, build(MARK)), MARK)
    assert verdict.verified
    assert "one row at a time" in verdict.best_probe


@pytest.mark.slow
@pytest.mark.parametrize("name", GATES)
def test_junk_to_some_batches_makes_no_mark(name: str, tmp_path: Path) -> None:
    verdict = verify(written(tmp_path, gated_model(OTHER, name)), MARK)
    assert verdict.bits < MOST_BITS_OF_CHANCE


def test_statistics_of_the_batch_do_not_hide_a_mark(tmp_path: Path) -> None:
    assert verify(written(tmp_path, batch_normalised(MARK)), MARK).verified


@pytest.mark.parametrize("name", ["all rows but the first", "every row beside another one"])
def test_a_fixed_batch_is_filled_with_copies_of_the_row(name: str, tmp_path: Path) -> None:
    assert verify(written(tmp_path, gated_model(MARK, name, batch=7)), MARK).verified
