"""Attacks on the input: what an API may do to an image before the model sees it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wmx import Watermark
from wmx.attacks.attack import Attack, Target
from wmx.attacks.catalogue import ATTACKS, CATALOGUE
from wmx.attacks.inputs.filters import Blur, FewLevels, InputNoise, Jpeg
from wmx.attacks.inputs.moves import Flip, Shift
from wmx.attacks.inputs.preprocessed import InputAttack
from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.suspect.suspect import Suspect
from wmx.verification.verdict import judge


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((6, 12, 10, 3), dtype=np.float32)


def changed(attack: InputAttack, images: np.ndarray, seed: int = 0) -> np.ndarray:
    return attack.changed(images, np.random.default_rng(seed))


def suspect_of(attack: Attack, target: Target) -> Suspect:
    (outcome,) = attack.run(target, Path(), lambda *_: None)
    return outcome.suspect


def test_noise_has_its_size(images: np.ndarray) -> None:
    noise = changed(InputNoise(0.1), images) - images
    assert noise.std() == pytest.approx(0.1, rel=0.1)
    assert (changed(InputNoise(0.1), images, seed=1) != images + noise).any()


def test_blur_is_the_mean_of_nine(images: np.ndarray) -> None:
    blurred = changed(Blur(), images)
    np.testing.assert_allclose(blurred[0, 5, 5], images[0, 4:7, 4:7].mean(axis=(0, 1)), rtol=1e-5)
    flat = np.full_like(images, 0.3)
    np.testing.assert_allclose(changed(Blur(), flat), flat, rtol=1e-6)


@pytest.mark.parametrize("levels", [2, 4])
def test_levels_are_so_many_and_the_nearest(levels: int, images: np.ndarray) -> None:
    rounded = changed(FewLevels(levels), images)
    assert len(np.unique(rounded)) == levels
    assert np.abs(rounded - images).max() <= 0.5 / (levels - 1) + 1e-6


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpeg_loses_more_at_lower_quality(channels: int) -> None:
    ramp = np.linspace(0, 1, 16 * 16 * channels, dtype=np.float32)
    images = ramp.reshape(1, 16, 16, channels).repeat(2, axis=0)
    losses = [np.abs(changed(Jpeg(quality), images) - images).mean() for quality in (95, 10)]
    assert changed(Jpeg(50), images).shape == images.shape
    assert losses[0] < losses[1] < 0.2


def test_moves_move(images: np.ndarray) -> None:
    moved = changed(Shift(2, -1), images)
    np.testing.assert_allclose(moved[:, 2:, :-1], images[:, :-2, 1:], atol=0.5 / 255)
    assert not moved[:, :2].any()
    mirrored = changed(Flip(), images)
    np.testing.assert_array_equal(changed(Flip(), mirrored), images)
    np.testing.assert_array_equal(mirrored[:, :, 0], images[:, :, -1])


@pytest.mark.parametrize("name", CATALOGUE["input"])
def test_the_model_answers_every_input_and_the_seed_decides_alone(
    name: str, target: Target
) -> None:
    inputs = target.data.x_test[:20]
    scores = []
    for _ in range(2):
        suspect = suspect_of(ATTACKS[name], target)
        feeding = suspect.feedings(target.task)[0]
        (predictions,) = suspect.predictions(feeding, inputs, target.task).values()
        scores.append(predictions.scores)
    assert scores[0].shape == (20, 10)
    np.testing.assert_array_equal(*scores)


def test_a_shift_is_undone_by_the_verifier_and_noise_changes_with_the_seed(
    target: Target, watermark: Watermark
) -> None:
    verdict = judge(suspect_of(Shift(1, 1), target), watermark)
    assert verdict.hits < 60
    assert verdict.verified
    assert "shifted -1,-1" in verdict.best_probe
    inputs = target.task.model_input(target.data.x_test[:5])
    scores = []
    for seed in (0, 1):
        suspect = suspect_of(InputNoise(), replace(target, seed=seed))
        feeding = suspect.feedings(target.task)[0]
        scores.append(next(iter(suspect.predictions(feeding, inputs, target.task).values())).scores)
    assert (scores[0] != scores[1]).any()


def test_other_data_than_images_are_refused(target: Target) -> None:
    features = replace(target, task=Task.of((4,), 2, kind="features"))
    with pytest.raises(CannotRunError, match="for images"):
        suspect_of(Blur(), features)
