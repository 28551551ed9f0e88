"""Inputs that do not lie where the claim says; and those that do, of which nothing is said."""

import warnings
from typing import Any

import numpy as np
import pytest

from wmx import OwnerKey, Watermark
from wmx.errors import UsageError
from wmx.training.model_scores import warn_of_probabilities
from wmx.training.scale import narrow_pixels, require_scale
from wmx.triggers.features import Features

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 17, (32, 8, 8, 1)).astype(np.float32)
TABLE = RNG.normal(size=(300, 5)) * [1, 20, 300, 0.1, 5] + [0, 50, 0, 9, 1]


def images(**normalization: Any) -> Watermark:
    return Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10, **normalization)


def table() -> Watermark:
    quantiles = np.quantile(TABLE, np.linspace(0, 1, 16), axis=0).T
    generator = Features.of(quantiles.astype(np.float32))
    return Watermark.new(
        OwnerKey.generate(), shape=(5,), classes=10, kind="features", generator=generator
    )


@pytest.mark.parametrize(
    ("watermark", "values"),
    [
        (images(mean=0.3, std=0.4), PIXELS),
        (images(mean=0.3, std=0.4), PIXELS[0]),
        (images(value_range=(0, 255)), PIXELS / 16),
        (images(value_range=(0, 255)), PIXELS[0] / 16),
        (images(value_range=(0, 255)), PIXELS),
        (images(), PIXELS.astype(np.uint8)),
        (table(), TABLE / 16),
        (table(), TABLE * 1000),
        (table(), TABLE[0] * 1000 + 1e5),
        (table(), (TABLE - TABLE.mean(axis=0)) / TABLE.std(axis=0)),
    ],
)
def test_inputs_on_another_scale_are_warned_of(watermark: Watermark, values: Any) -> None:
    with pytest.warns(UserWarning, match=r"the claim.*normalize|multiply them up"):
        require_scale(values, watermark)


@pytest.mark.parametrize(
    ("watermark", "values"),
    [
        (images(mean=0.3, std=0.4), (PIXELS / 16 - 0.3) / 0.4),
        (images(), PIXELS / 16 + RNG.normal(size=PIXELS.shape) * 0.2),
        (images(mean=0.5, std=0.5), (PIXELS / 16 - 0.45) / 0.225),
        (images(), np.zeros((32, 8, 8, 1), np.float32)),
        (images(), PIXELS[:2] / 160),
        (images(), PIXELS.astype(np.uint8)[0]),
        (images(), PIXELS.astype(np.uint8) * 15),
        (table(), TABLE),
        (table(), TABLE[3]),
        (table(), TABLE[:10]),
        (table(), TABLE * [1, 1, 1, 100, 1]),
        (table(), TABLE.astype(np.int64)),
    ],
)
def test_of_inputs_that_are_as_the_claim_says_nothing_is_said(
    watermark: Watermark, values: Any
) -> None:
    with warnings.catch_warnings(action="error"):
        require_scale(values, watermark)


def test_pixels_that_no_augmentation_makes_are_refused() -> None:
    with pytest.raises(UsageError, match="the inputs hold 0 to 16"):
        require_scale(PIXELS, images())


def test_images_of_few_levels_are_told() -> None:
    assert "hold 0 to 16" in str(narrow_pixels(PIXELS.astype(np.uint8)))
    assert narrow_pixels(PIXELS.astype(np.uint8) * 15) is None


def test_probabilities_where_logits_are_expected_are_warned_of() -> None:
    logits = RNG.normal(size=(6, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with pytest.warns(UserWarning, match="returns probabilities, expected logits"):
        warn_of_probabilities(probabilities)
    for scores in (logits, np.abs(logits), np.log(probabilities)):
        warn_of_probabilities(scores)
