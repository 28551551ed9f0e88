"""Settings for the whole suite: property tests draw the same examples on every machine."""

from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
