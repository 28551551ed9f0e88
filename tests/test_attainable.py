"""How many bits a number of triggers can give: to any model, and to one that has learned all."""

from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import onnx_models

from wmx import OwnerKey, Task, Watermark, verify
from wmx.statistics.attainable import (
    attainable_bits,
    bits_of_all_hits,
    fewest_triggers,
    most_bits,
    too_few_triggers,
)
from wmx.statistics.mixture import Mixture
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.suspect.suspect import opened
from wmx.verification.verdict import judge


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
    said = too_few_triggers(14, 41.2, required=128, which="undisclosed")
    assert said == (
        "14 undisclosed triggers give about 41 bits where a model has learned all of them, "
        "128 are needed"
    )
    one = too_few_triggers(1, -2.3, required=64)
    assert one == "1 trigger gives about 0 bits where a model has learned it, 64 are needed"
    assert "penalty of 2.0" in str(too_few_triggers(40, 118, required=120, penalty=2))
    assert too_few_triggers(128, 128, required=128) is None
    assert "about 127.96 bits" in str(too_few_triggers(136, 127.96, required=128))


@pytest.mark.parametrize("required", [64, 128])
@pytest.mark.parametrize("classes", [2, 3, 10, 100, 1000])
def test_an_exact_copy_is_never_said_to_lack_the_mark(required: int, classes: int) -> None:
    """By any number of triggers: from n log2 K, which no model exceeds, to what a copy reaches."""
    task = Task.of((8, 8, 1), classes)
    fewest, most = fewest_triggers(task, required), ceil(required / log2(classes))
    watermark = Watermark.for_task(OwnerKey.generate(), task, n=fewest + 2)
    known = {
        row.tobytes(): label for row, label in zip(watermark.inputs, watermark.labels, strict=True)
    }

    def copy(inputs: Any) -> Any:
        return np.array([known.get(row.tobytes(), 0) for row in inputs])

    said = []
    with opened(copy, "cpu") as suspect:
        for n in (1, 2, *range(most - 2, fewest + 3)):
            verdict = judge(suspect, watermark, min_bits=required, start=fewest + 2 - n)
            assert verdict.left == n
            assert verdict.verified or not verdict.is_answer, n
            said.append(verdict.verified)
    assert said == sorted(said)
    assert said[0] is False
    assert said[-3:] == [True] * 3


def test_nor_is_a_copy_that_is_fed_in_another_way_or_has_many_outputs() -> None:
    """A shift has a small share of the mixture, and each of several outputs a part."""
    task = Task.of((8, 8, 1), 10)
    watermark = Watermark.for_task(OwnerKey.generate(), task, n=41)
    for probes in ((Probe("", "", (1, 0)),), (Probe("", "a"), Probe("", "b"))):
        mixture = Mixture(watermark.trigger_slice(), {0: len(probes)})
        labels = watermark.labels[:, None]
        right = Predictions.from_scores(np.arange(10)[None, :] == labels)
        nothing = Predictions.from_scores(np.zeros((41, 10)))
        mixture.add({probe: right if probe is probes[0] else nothing for probe in probes})
        assert attainable_bits(mixture.score(0.0), 41) < 128


def test_a_model_that_knows_nothing_has_an_answer_as_soon_as_a_copy_would_verify() -> None:
    task = Task.of((8, 8, 1), 10)
    watermark = Watermark.for_task(OwnerKey.generate(), task, n=41)

    def guess(inputs: Any) -> Any:
        return inputs.reshape(len(inputs), -1)[:, :10]

    with opened(guess, "cpu") as suspect:
        assert judge(suspect, watermark).is_answer
        assert not judge(suspect, watermark, start=1).is_answer
        assert not judge(suspect, watermark, claims_tried=16).is_answer
