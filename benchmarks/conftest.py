"""The fixture of all benchmarks."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from race import Race


@pytest.fixture
def race(benchmark: BenchmarkFixture) -> Race:
    """Return a race that writes into this test's record."""
    return Race(benchmark)
