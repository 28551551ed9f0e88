"""The recipe extraction: who stands for whom, and what the targets say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fixed import fixed_watermark

from wmx import Watermark
from wmx.errors import UsageError
from wmx.training.batches import TrainingBatches
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData, load_data
from wmx.training.recipe import recipe_named
from wmx.training.second_choice import downsampled, representatives, soft_labels
from wmx.training.trigger_batches import MarkedBatches
from wmx.triggers.folder import Folder

SECRET = bytes(32)


@pytest.fixture(scope="module")
def digits() -> LabeledData:
    return load_data("digits")


@pytest.fixture(scope="module")
def watermark(digits: LabeledData) -> Watermark:
    images = representatives(digits.x_train, digits.y_train, 100, SECRET)
    return fixed_watermark(digits.task, n=100, generator=Folder(images))


def places_of(images: Any, among: Any) -> list[int]:
    known = {image.tobytes(): place for place, image in enumerate(among)}
    return [known[image.tobytes()] for image in images]


@pytest.mark.parametrize("n", [7, 10, 45, 100])
def test_representatives_are_training_images_as_many_of_each_class(
    digits: LabeledData, n: int
) -> None:
    images = representatives(digits.x_train, digits.y_train, n, SECRET)
    places = places_of(images, digits.x_train)
    assert len(set(places)) == n
    counts = np.bincount(digits.y_train[places], minlength=10)
    assert counts.max() - counts.min() <= 1
    again = representatives(digits.x_train, digits.y_train, n, SECRET)
    np.testing.assert_array_equal(images, again)


def test_whoever_has_the_training_data_alone_does_not_find_them_again(
    digits: LabeledData,
) -> None:
    """With public randomness all 100 would be the same; by chance 7 of them are."""
    chosen = [
        {
            image.tobytes()
            for image in representatives(digits.x_train, digits.y_train, 100, bytes([secret]) * 32)
        }
        for secret in range(6)
    ]
    shared = [len(chosen[0] & other) for other in chosen[1:]]
    assert max(shared) < 40
    images, counts = np.unique([one for some in chosen for one in some], return_counts=True)
    assert len(images) > 300
    assert counts.max() < 6, "one image was chosen with every secret"


def test_their_order_says_nothing_of_their_classes(digits: LabeledData) -> None:
    images = representatives(digits.x_train, digits.y_train, 100, SECRET)
    classes = digits.y_train[places_of(images, digits.x_train)]
    assert 70 < np.count_nonzero(np.diff(classes)) < 99


def test_representatives_lie_nearer_to_their_class_than_as_many_images_drawn_from_it(
    digits: LabeledData,
) -> None:
    def cost(images: Any) -> float:
        x, y = downsampled(digits.x_train), digits.y_train
        classes = y[places_of(images, digits.x_train)]
        shapes = downsampled(images)
        return sum(
            float(np.square(x[y == c][:, None] - shapes[classes == c][None]).sum(-1).min(1).sum())
            for c in range(10)
        )

    rng = np.random.default_rng(0)
    drawn = np.concatenate(
        [digits.x_train[rng.choice(np.flatnonzero(digits.y_train == c), 10)] for c in range(10)]
    )
    chosen = representatives(digits.x_train, digits.y_train, 100, SECRET)
    assert cost(chosen) < 0.9 * cost(drawn)


def test_targets_lean_towards_the_label_of_the_nearest_representative_of_the_class(
    digits: LabeledData, watermark: Watermark
) -> None:
    x, y = digits.x_train, digits.y_train
    targets = soft_labels(watermark, x, y, 0.2)
    classes = y[places_of(watermark.triggers, x)]
    shapes, own = downsampled(x), downsampled(watermark.triggers)
    for row in range(0, len(y), 37):
        distance = np.square(own - shapes[row]).sum(axis=1)
        nearest = np.where(classes == y[row], distance, np.inf).argmin()
        expected = np.zeros(10, np.float32)
        expected[y[row]] += 0.8
        expected[watermark.labels[nearest]] += 0.2
        np.testing.assert_allclose(targets[row], expected, atol=1e-6)


def test_a_representative_leans_towards_its_own_label(
    digits: LabeledData, watermark: Watermark
) -> None:
    targets = soft_labels(watermark, digits.x_train, digits.y_train, 0.3)
    places = places_of(watermark.triggers, digits.x_train)
    own = targets[places, watermark.labels]
    same = digits.y_train[places] == watermark.labels
    np.testing.assert_allclose(own, np.where(same, 1.0, 0.3), atol=1e-6)


@given(weight=st.floats(0, 0.49))
def test_targets_are_probabilities_whose_first_choice_is_the_class(
    digits: LabeledData, watermark: Watermark, weight: float
) -> None:
    targets = soft_labels(watermark, digits.x_train[:], digits.y_train, weight)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    assert (targets >= 0).all()
    np.testing.assert_array_equal(targets.argmax(axis=1), digits.y_train)


def test_a_class_without_a_representative_keeps_hard_targets(digits: LabeledData) -> None:
    images = representatives(digits.x_train, digits.y_train, 4, SECRET)
    watermark = fixed_watermark(digits.task, n=4, generator=Folder(images))
    targets = soft_labels(watermark, digits.x_train, digits.y_train, 0.2)
    hard = digits.y_train > 3
    np.testing.assert_array_equal(targets[hard], np.eye(10, dtype=np.float32)[digits.y_train[hard]])


def test_downsampled_images_are_means_over_squares_of_pixels() -> None:
    image = np.zeros((1, 33, 20, 2), np.uint8)
    image[0, :3, :3, 0] = 255
    found = downsampled(image).reshape(11, 7, 2)
    assert found[0, 0].tolist() == [1, 0]
    assert found.sum() == 1
    small = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    np.testing.assert_allclose(downsampled(small) * 255, small.reshape(2, -1), atol=1e-4)


@pytest.mark.parametrize("weight", [-0.1, 0.5, float("nan")])
def test_a_weight_that_would_change_the_first_choice_is_refused(
    digits: LabeledData, watermark: Watermark, weight: float
) -> None:
    with pytest.raises(UsageError, match="weight is"):
        soft_labels(watermark, digits.x_train, digits.y_train, weight)


def test_a_claim_over_other_images_is_refused(digits: LabeledData) -> None:
    watermark = fixed_watermark(digits.task)
    with pytest.raises(UsageError, match="trigger 0 of the claim is not among the training images"):
        soft_labels(watermark, digits.x_train, digits.y_train, 0.2)


def test_too_few_images_of_a_class_are_refused(digits: LabeledData) -> None:
    few = np.flatnonzero(digits.y_train != 3)
    few = np.append(few, np.repeat(np.flatnonzero(digits.y_train == 3)[:2], 9))
    with pytest.raises(UsageError, match="class 3 has 2 different images, expected at least 10"):
        representatives(digits.x_train[few], digits.y_train[few], 100, SECRET)


def test_no_representatives_at_all_are_refused(digits: LabeledData) -> None:
    with pytest.raises(UsageError, match="number of triggers is 0"):
        representatives(digits.x_train, digits.y_train, 0, SECRET)


def test_other_data_than_images_are_refused() -> None:
    with pytest.raises(UsageError, match="for uint8 images"):
        representatives(np.zeros((20, 4), np.float32), np.arange(20) % 2, 4, SECRET)  # type: ignore[arg-type]


def test_the_trainers_batches_have_these_targets_and_no_triggers(
    digits: LabeledData, watermark: Watermark
) -> None:
    training = Training(recipe="extraction", batch_size=100)
    batches = TrainingBatches(digits, digits.task, training, watermark)
    seen = [batch.labels for batch in batches.epoch(0)]
    assert {labels.shape for labels in seen} == {(100, 10)}
    whole = replace(training, batch_size=len(digits.y_train))
    (batch,) = TrainingBatches(digits, digits.task, whole, watermark).epoch(0)
    weight = recipe_named("extraction").second
    expected = soft_labels(watermark, digits.x_train, digits.y_train, weight)
    np.testing.assert_array_equal(np.sort(batch.labels, axis=0), np.sort(expected, axis=0))
    plain = TrainingBatches(digits, digits.task, training, None)
    assert next(plain.epoch(0)).labels.dtype == np.int64


def test_it_adds_no_triggers_to_batches_of_ones_own(watermark: Watermark) -> None:
    with pytest.raises(UsageError, match="adds no triggers") as raised:
        MarkedBatches(watermark, "extraction")
    assert "soft_labels" in str(raised.value.hint)
