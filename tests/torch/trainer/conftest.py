"""Fixtures of the trainer's tests: few digits, and a watermark for them."""

from dataclasses import replace

import pytest
from support.fixed import fixed_watermark

from wmx import Watermark
from wmx.training.data.dataset import LabeledData, load_data


@pytest.fixture(scope="module")
def data() -> LabeledData:
    digits = load_data("digits")
    return replace(digits, x_train=digits.x_train[:430], y_train=digits.y_train[:430])


@pytest.fixture(scope="module")
def watermark(data: LabeledData) -> Watermark:
    return fixed_watermark(data.task)
