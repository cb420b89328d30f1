"""Settings for all tests."""

from hypothesis import settings

# The same examples in every run, and no limit on a single example's time: a slow machine is no bug.
settings.register_profile("book", derandomize=True, deadline=None)
settings.load_profile("book")
