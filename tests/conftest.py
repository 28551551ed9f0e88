"""Settings for the whole suite: property tests draw the same examples on every machine."""

import pytest
from hypothesis import settings
from stacks import add_option

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)
