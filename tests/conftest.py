"""Settings for all tests."""

import random

import pytest
from hypothesis import settings

# The same examples in every run, and no limit on a single example's time: a slow machine is no bug.
settings.register_profile("book", derandomize=True, deadline=None)
settings.load_profile("book")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the order of the tests, none of which may need another one to have run."""
    orders = ("listed", "reversed", "shuffled")
    parser.addoption("--order", choices=orders, default="listed", help="order of the tests")
    parser.addoption("--order-seed", type=int, default=0, help="seed of the shuffled order")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests into the order that was asked for."""
    if config.getoption("--order") == "reversed":
        items.reverse()
    elif config.getoption("--order") == "shuffled":
        random.Random(config.getoption("--order-seed")).shuffle(items)
