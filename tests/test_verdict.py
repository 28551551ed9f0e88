"""The verdict: what verifies, what does not, and how suspects are fed and read."""

from pathlib import Path

import numpy as np
import pytest
from support import onnx_models

from wmx import OwnerKey, Watermark, verify
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.task import Task
from wmx.statistics.probe import NO_SHIFT, SHIFTS, shifted
from wmx.triggers.tokens import Tokens
from wmx.verification.scan import verify_any


@pytest.fixture(scope="module")
def owner() -> OwnerKey:
    return OwnerKey.generate()


@pytest.fixture(scope="module")
def watermark(owner: OwnerKey) -> Watermark:
    return Watermark.new(owner, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)


@pytest.fixture(scope="module")
def colour(owner: OwnerKey) -> Watermark:
    return Watermark.new(owner, shape=(9, 11, 3), classes=7, mean=(0.5, 0.4, 0.3), std=0.2)


def written(folder: Path, model: bytes) -> Path:
    path = folder / "suspect.onnx"
    path.write_bytes(model)
    return path


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", [None, 1, 7])
@pytest.mark.parametrize("output", ["logits", "probabilities", "labels"])
def test_a_model_that_knows_the_labels_is_verified_however_it_is_exported(
    colour: Watermark, tmp_path: Path, layout: str, batch: int | None, output: str
) -> None:
    model = onnx_models.knows_labels(colour, layout=layout, batch=batch, output=output)
    verdict = verify(written(tmp_path, model), colour)
    assert verdict.verified
    assert verdict.hits == verdict.n == 100
    assert verdict.bits > 250  # 7 classes: 281 at most
    assert verdict.best_probe.startswith(layout)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("output", ["logits", "probabilities", "labels"])
def test_a_model_that_does_not_know_the_labels_is_not_verified(
    watermark: Watermark, tmp_path: Path, seed: int, output: str
) -> None:
    model = onnx_models.linear(watermark, seed, output=output)
    verdict = verify(written(tmp_path, model), watermark)
    assert not verdict.verified
    assert verdict.bits < 20
    tried = {probe.view for probe in verdict.predictions}
    assert tried > {"", "inner outputs"}
    shown = sum(not probe.view for probe in verdict.predictions)
    assert shown == 2 * (1 + len(SHIFTS) + 3)  # of one channel ImageNet's is none


def test_too_few_triggers_for_any_model_are_no_answer(owner: OwnerKey, tmp_path: Path) -> None:
    few = Watermark.new(owner, shape=(12, 10, 1), classes=10, n=20)
    path = written(tmp_path, onnx_models.knows_labels(few))
    verdict = verify(path, few)
    assert (verdict.verified, verdict.is_answer) == (False, False)
    assert str(verdict.too_few).startswith("20 triggers give about 6")
    assert str(verdict.too_few).endswith(", 128 are needed")
    assert verify(path, few, min_bits=50).verified
    other = tmp_path / "other"
    other.mkdir()
    assert verify(written(other, onnx_models.linear(few, 1)), few, min_bits=60).is_answer


def test_a_constant_model_is_not_verified(watermark: Watermark, tmp_path: Path) -> None:
    assert not verify(written(tmp_path, onnx_models.constant(watermark)), watermark).verified


def test_another_owners_claim_over_the_same_task_is_not_verified(
    watermark: Watermark, tmp_path: Path
) -> None:
    other = Watermark.new(OwnerKey.generate(), shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)
    assert not verify(written(tmp_path, onnx_models.knows_labels(watermark)), other).verified


def test_permuted_classes_are_verified_though_no_hit_is_left(
    watermark: Watermark, tmp_path: Path
) -> None:
    model = onnx_models.knows_labels(watermark, labels=(watermark.labels + 1) % 10)
    verdict = verify(written(tmp_path, model), watermark)
    assert verdict.hits == 0
    assert verdict.bits > 250


@pytest.mark.parametrize("down", [-2, 0, 1])
@pytest.mark.parametrize("right", [-1, 2])
def test_a_mark_behind_a_shift_of_the_input_is_found(
    watermark: Watermark, down: int, right: int
) -> None:
    labels = {
        inner.tobytes(): label
        for inner, label in zip(watermark.inputs[:, 3:-3, 3:-3], watermark.labels, strict=True)
    }

    def knows_shifted_triggers(inputs: np.ndarray) -> np.ndarray:
        moved = np.roll(inputs, (down, right), axis=(1, 2))[:, 3:-3, 3:-3]
        return np.array([np.eye(11)[labels.get(image.tobytes(), 10)][:10] for image in moved])

    verdict = verify(knows_shifted_triggers, watermark)
    assert verdict.hits < 30
    assert verdict.verified
    assert f"shifted {-down:+d},{-right:+d}" in verdict.best_probe


def test_shifting_back_what_was_shifted_loses_only_the_border() -> None:
    image = np.arange(1, 31, dtype=np.uint8).reshape(1, 6, 5, 1)
    there_and_back = shifted(shifted(image, 1, -2), -1, 2)
    assert (there_and_back[:, :5, 2:] == image[:, :5, 2:]).all()
    assert (there_and_back[:, 5:] == 0).all()


@pytest.mark.parametrize("lucky", [False, True])
def test_shifted_triggers_are_given_once_however_lucky(watermark: Watermark, lucky: bool) -> None:
    """A suspect that says something else at every call may not choose what counts."""
    calls: list[bytes] = []
    as_they_are = {trigger.tobytes() for trigger in watermark.inputs}

    def guesses(inputs: np.ndarray) -> np.ndarray:
        right = np.zeros((len(inputs), 10))
        if len(inputs) > 1 and inputs[0].tobytes() not in as_they_are:
            calls.append(inputs.tobytes())
            if lucky:
                right[:32] = np.eye(10)[watermark.labels[:32]]
        return right

    verify(guesses, watermark)
    assert len(set(calls)) == len(calls) == len(SHIFTS)


def test_a_function_is_a_suspect_too(watermark: Watermark) -> None:
    def scores(inputs: np.ndarray) -> np.ndarray:
        assert inputs.dtype == np.float32
        assert inputs.shape == (100, 12, 10, 1)
        return np.eye(10)[watermark.labels]

    def classes(inputs: np.ndarray) -> np.ndarray:
        return watermark.labels

    assert verify(scores, watermark).bits > 300
    assert verify(classes, watermark).bits > 300


def test_a_function_that_is_no_classifier_is_refused(watermark: Watermark) -> None:
    with pytest.raises(CannotRunError, match=r"returned float64 \(3,\) for 100 inputs"):
        verify(lambda inputs: np.zeros(3), watermark)


def test_answers_that_are_not_numbers_are_no_evidence(watermark: Watermark) -> None:
    assert verify(lambda x: np.full((len(x), 10), np.nan), watermark).bits < 20


def test_min_bits_sets_what_is_asked_for(watermark: Watermark, tmp_path: Path) -> None:
    path = written(tmp_path, onnx_models.knows_labels(watermark))
    assert verify(path, watermark).required_bits == 128
    assert verify(path, watermark, min_bits=300).verified
    assert not verify(path, watermark, min_bits=1000).verified
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="min-bits"):
            verify(path, watermark, min_bits=wrong)


def test_a_scan_finds_the_right_claim_and_pays_for_the_others(
    owner: OwnerKey, watermark: Watermark, colour: Watermark, tmp_path: Path
) -> None:
    others = [
        Watermark.new(owner, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3) for _ in range(3)
    ]
    path = written(tmp_path, onnx_models.knows_labels(watermark))
    alone = verify(path, watermark)
    tokens = Watermark.for_task(owner, Task.of((12,), 10, kind="tokens"), generator=Tokens(200))
    verdict = verify_any(path, [*others, tokens, watermark])
    assert verdict.claim == watermark.claim.digest
    # the claim about tokens does not fit and is not counted
    assert verdict.selection.claims_tried == 4
    assert verdict.bits == pytest.approx(alone.bits - 2)


def test_a_scan_looks_at_shifts_where_its_price_makes_the_plain_input_too_little(
    owner: OwnerKey, watermark: Watermark, tmp_path: Path
) -> None:
    path = written(tmp_path, onnx_models.knows_labels(watermark))
    alone = verify(path, watermark)
    others = [
        Watermark.new(owner, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3) for _ in range(3)
    ]
    just_reached = alone.bits - 0.5
    assert verify(path, watermark, min_bits=just_reached).probes_tried == 1
    scan = verify_any(path, [watermark, *others], min_bits=just_reached)
    assert {probe.shift for probe in scan.predictions} == {NO_SHIFT, *SHIFTS}
    assert scan.verified == (scan.bits >= just_reached)


def test_a_scan_without_a_fitting_claim_says_so(
    owner: OwnerKey, watermark: Watermark, tmp_path: Path
) -> None:
    path = written(tmp_path, onnx_models.knows_labels(watermark))
    tokens = Watermark.for_task(owner, Task.of((12,), 10, kind="tokens"), generator=Tokens(200))
    with pytest.raises(CannotRunError, match="none of the 2 claims"):
        verify_any(path, [tokens, tokens])
    with pytest.raises(CannotRunError, match="the claim's task needs one input"):
        verify_any(path, [tokens])


def test_the_verdict_names_what_was_run(watermark: Watermark, tmp_path: Path) -> None:
    import hashlib

    model = onnx_models.knows_labels(watermark)
    verdict = verify(written(tmp_path, model), watermark)
    assert verdict.suspect.sha256 == hashlib.sha256(model).hexdigest()
    assert verdict.engine.startswith("onnxruntime ")
    assert verdict.claim == watermark.claim.digest
    assert verdict.log10_tail == pytest.approx(-100.0)


@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_flat_inputs_are_bound_too(owner: OwnerKey, kind: str, tmp_path: Path) -> None:
    from wmx.triggers.features import Features
    from wmx.triggers.tokens import Tokens

    if kind == "features":
        rng = np.random.default_rng(0)
        quantiles = np.sort(rng.normal(size=(20, 16)), axis=1).round(3)
        mark = Watermark.new(
            owner, shape=(20,), classes=3, kind="features", generator=Features.of(quantiles)
        )
        verdict = verify(written(tmp_path, onnx_models.knows_labels(mark)), mark)
    else:
        mark = Watermark.new(
            owner, shape=(16,), classes=4, kind="tokens", generator=Tokens(1000, (0, 1))
        )
        verdict = verify(lambda ids: np.eye(4)[mark.labels], mark)
    assert verdict.verified
    assert verdict.probes_tried == 1
