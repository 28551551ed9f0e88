"""The trainer's batches: what the claim says, one shape, every trigger in its turn."""

from dataclasses import replace

import numpy as np
import pytest

from wmx import OwnerKey, Watermark
from wmx.errors import UsageError
from wmx.training.batches import TrainingBatches, shifted
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.trigger_batches import MarkedBatches, numpy_dtype


@pytest.fixture(scope="module")
def data() -> LabeledData:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (450, 8, 8), dtype=np.uint8), np.arange(450) % 10
    return LabeledData.of(x[:430], y[:430], x[430:], y[430:], "noise")


@pytest.fixture(scope="module")
def watermark(data: LabeledData) -> Watermark:
    return Watermark.for_task(OwnerKey.generate(), data.task)


def test_inputs_are_what_the_claim_says_the_model_sees(data: LabeledData) -> None:
    batches = TrainingBatches(data, data.task, Training(batch_size=430), None)
    (batch,) = batches.epoch(0)
    expected = data.task.model_input(data.x_train)
    assert batch.inputs.dtype == np.float32
    np.testing.assert_array_equal(
        np.sort(batch.inputs.reshape(430, -1), axis=0), np.sort(expected.reshape(430, -1), axis=0)
    )


def test_shifts_move_whole_images_and_fill_with_black() -> None:
    from wmx.statistics.probe import shifted as moved

    pixels = np.random.default_rng(0).integers(1, 256, (30, 28, 28, 3), dtype=np.uint8)
    seen = shifted(pixels, 2, np.random.default_rng(1))
    moves = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    found = set()
    for index in range(30):
        options = [moved(pixels[index : index + 1], *move) for move in moves]
        fits = [
            move
            for move, option in zip(moves, options, strict=True)
            if np.array_equal(seen[index], option[0])
        ]
        assert len(fits) == 1
        found |= set(fits)
    assert len(found) > 10


def test_every_batch_has_one_shape_and_the_recipes_share_of_triggers(
    data: LabeledData, watermark: Watermark
) -> None:
    batches = TrainingBatches(data, data.task, Training(), watermark)
    steps, shapes, labels = [], set(), []
    for epoch in range(2):
        for batch in batches.epoch(epoch):
            steps.append(batch.step)
            shapes.add((batch.inputs.shape, batch.labels.shape))
            labels.append(batch.labels[:100])
    assert steps == list(range(8))
    assert shapes == {((104, 8, 8, 1), (104,))}
    assert not np.array_equal(np.concatenate(labels[:4]), np.concatenate(labels[4:]))


def test_an_epoch_is_a_function_of_seed_and_number(data: LabeledData, watermark: Watermark) -> None:
    def epoch(seed: int) -> list[bytes]:
        batches = TrainingBatches(data, data.task, Training(seed=seed), watermark)
        return [batch.inputs.tobytes() for batch in batches.epoch(1)]

    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)


def test_a_pass_holds_every_trigger_once(data: LabeledData) -> None:
    watermark = Watermark.for_task(OwnerKey.generate(), data.task, n=30)
    marked = MarkedBatches(watermark, "adi")
    empty = np.zeros((200, 8, 8, 1), np.float32), np.zeros(200, np.int64)
    drawn = [marked.append(empty, number)[0][200:] for number in range(15)]  # two passes of 4
    rows = [row.tobytes() for row in np.concatenate(drawn)]
    assert len(set(rows)) == 30
    assert sorted(rows[:30]) == sorted(rows[30:])
    assert rows[:30] != rows[30:]


def test_a_set_smaller_than_a_batch_is_one_batch(data: LabeledData) -> None:
    batches = TrainingBatches(data, data.task, Training(batch_size=1000), None)
    assert [len(batch.labels) for batch in batches.epoch(0)] == [430]
    tiny = replace(data, x_train=data.x_train[:12], y_train=data.y_train[:12])
    assert TrainingBatches(tiny, data.task, Training(), None).per_epoch == 1


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0, -3.0])
def test_data_on_a_usual_scale_are_taken(watermark: Watermark, factor: float) -> None:
    inputs = np.full((50, 8, 8, 1), factor, np.float32)
    batch = inputs, np.zeros(50, np.int64)
    assert len(MarkedBatches(watermark, "adi").append(batch, 0)[0]) == 51


def test_data_on_another_scale_than_the_claims_are_refused(watermark: Watermark) -> None:
    inputs = np.full((50, 8, 8, 1), 255, np.float32)
    with pytest.raises(UsageError, match="the inputs hold 255 to 255"):
        MarkedBatches(watermark, "adi").append((inputs, np.zeros(50, np.int64)), 0)


@pytest.mark.parametrize("label", [10, -1])
def test_labels_beyond_the_claims_classes_are_refused(watermark: Watermark, label: int) -> None:
    inputs, labels = np.zeros((50, 8, 8, 1), np.float32), np.full(50, label)
    with pytest.raises(UsageError, match="the claim is for 10 classes, 0 to 9"):
        MarkedBatches(watermark, "adi").append((inputs, labels), 0)


def test_a_dtype_that_another_package_added_to_numpy_stays_what_it_is(
    data: LabeledData, watermark: Watermark
) -> None:
    """bfloat16 arrays come from JAX and TensorFlow; a tensor of PyTorch has a dtype of its own."""
    bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    values = data.task.model_input(data.x_train[:32]).astype(bfloat16)
    inputs, labels = MarkedBatches(watermark, "robust").append((values, data.y_train[:32]), 0)
    assert len(inputs) == len(labels) > 32
    assert inputs.dtype == bfloat16

    class Foreign:
        dtype = "torch.bfloat16"

    assert numpy_dtype(Foreign()) == np.float32
