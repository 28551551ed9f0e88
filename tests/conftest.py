"""Settings for the whole suite: tests draw the same examples and keys on every machine.

onnxruntime tells its makers nothing, in whatever order a test imports it and wmx.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from support import repeatable, stacks

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")


def pytest_addoption(parser: pytest.Parser) -> None:
    stacks.add_options(parser)
    parser.addoption("--seed", type=int, default=0, help="of the keys and salts that tests draw")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(repeatable.Repeatable(config.getoption("--seed")))


@pytest.fixture
def opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is looked into, as if none could be: what its declared outputs tell is all."""
    from wmx.suspect.onnx_file import OnnxFile

    monkeypatch.setattr(OnnxFile, "views", lambda _: {})


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return stacks.suite(path, parent)
