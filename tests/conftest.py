"""Settings for the whole suite: property tests draw the same examples on every machine.

onnxruntime tells its makers nothing, in whatever order a test imports it and wmx.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from support import stacks

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")


def pytest_addoption(parser: pytest.Parser) -> None:
    stacks.add_options(parser)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return stacks.suite(path, parent)
