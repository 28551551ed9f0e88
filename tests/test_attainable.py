"""How many bits a number of triggers can give: to any model, and to one that has learned all."""

from pathlib import Path

import pytest
from support import onnx_models

from wmx import OwnerKey, Task, Watermark, verify
from wmx.statistics.attainable import (
    bits_of_all_hits,
    fewest_triggers,
    most_bits,
    too_few_triggers,
)


@pytest.mark.parametrize(("n", "classes"), [(41, 10), (100, 10), (140, 2), (20, 300)])
def test_a_model_that_knows_every_label_reaches_what_is_said(
    tmp_path: Path, n: int, classes: int
) -> None:
    watermark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=classes, n=n)
    (tmp_path / "model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    said = bits_of_all_hits(n, watermark.task)
    verdict = verify(tmp_path / "model.onnx", watermark, min_bits=said - 1e-9)
    assert verdict.verified
    assert verdict.bits < min(said + 4, most_bits(n, classes))


@pytest.mark.parametrize(("classes", "fewest"), [(10, 41), (2, 136), (1000, 14)])
def test_the_fewest_triggers_are_the_first_that_suffice(classes: int, fewest: int) -> None:
    task = Task.of((8, 8, 1), classes)
    assert fewest_triggers(task, 128) == fewest
    assert bits_of_all_hits(fewest - 1, task) < 128 <= bits_of_all_hits(fewest, task)


def test_tokens_have_no_variations_to_pay_for() -> None:
    tokens, image = Task.of((8,), 10, kind="tokens"), Task.of((8, 8, 1), 10)
    assert bits_of_all_hits(50, tokens) > bits_of_all_hits(50, image)


def test_a_million_triggers_are_counted_at_once() -> None:
    assert bits_of_all_hits(10**6, Task.of((8, 8, 1), 2)) == pytest.approx(1e6, abs=20)


def test_too_few_are_named_with_the_bits_that_they_can_give() -> None:
    said = too_few_triggers(14, 10, required=128, which="undisclosed")
    assert said == "14 undisclosed triggers give 47 bits at most, 128 are needed"
    assert too_few_triggers(1, 2, required=64) == "1 trigger gives 1 bits at most, 64 are needed"
    assert "penalty of 2.0" in str(too_few_triggers(40, 8, required=120, penalty=2))
    assert too_few_triggers(128, 2, required=128) is None
    assert "127.96 bits at most" in str(too_few_triggers(128, 2, required=128, penalty=0.04))
