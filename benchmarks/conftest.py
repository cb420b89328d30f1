"""The fixture of all benchmarks, and what each record says of the machine."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from machine import describe
from race import Race


@pytest.fixture
def race(benchmark: BenchmarkFixture) -> Race:
    """Return a race that writes into this test's record."""
    return Race(benchmark)


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """Replace the plugin's description, which names the host."""
    machine_info.clear()
    machine_info.update(describe())
