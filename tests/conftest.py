"""Settings for the whole suite: property tests draw the same examples on every machine.

onnxruntime tells its makers nothing, in whatever order a test imports it and wmx.
"""

import os

import pytest
from hypothesis import settings
from support.stacks import add_option

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)
