from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.cost import scaling
from recsys.cost.scaling import (
    Growth,
    fixed_and_growing,
    local_slopes,
    power_exponents,
    time_growth,
)

SIZES = np.array([8, 20, 64, 100, 512])


@given(st.floats(-1, 4), st.floats(1e-9, 1e9))
def test_an_exact_power_law_gives_its_exponent_everywhere(power: float, factor: float):
    costs = factor * SIZES**power
    assert power_exponents(SIZES, costs) == pytest.approx(power, abs=1e-9)
    assert local_slopes(SIZES, costs) == pytest.approx(np.full(4, power), abs=1e-9)


def test_the_exponent_is_that_of_polyfit_for_each_of_many_rows():
    costs = np.random.default_rng(0).lognormal(size=(3, 2, len(SIZES)))
    fits = power_exponents(SIZES, costs)
    assert fits.shape == (3, 2)
    for place in np.ndindex(3, 2):
        slope = np.polyfit(np.log(SIZES), np.log(costs[place]), 1)[0]
        assert fits[place] == pytest.approx(slope)


def test_local_slopes_are_those_of_neighbours():
    assert local_slopes([1, 2, 8], [3.0, 12.0, 12.0]) == pytest.approx([2.0, 0.0])


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(0.5, 3))
def test_a_constant_and_a_power_are_found_again(ratio: float, b: float, power: float):
    sizes = np.array([1.0, 4.0, 16.0, 64.0, 256.0])
    a = b * (16.0**power) * min(max(ratio, 0.1), 10.0)
    found = fixed_and_growing(sizes, a + b * sizes**power, power)
    assert found == pytest.approx((a, b), rel=1e-6)


def test_a_part_that_is_not_there_is_zero_and_none_is_negative():
    assert fixed_and_growing(SIZES, 3.0 * SIZES**2.0, 2) == pytest.approx((0.0, 3.0), abs=1e-9)
    assert fixed_and_growing(SIZES, np.full(5, 7.0), 2) == pytest.approx((7.0, 0.0), abs=1e-9)
    assert fixed_and_growing(SIZES, 5.0 / SIZES, 1)[1] == 0.0


def test_small_costs_weigh_as_much_as_large_ones():
    costs = (100.0 + SIZES**3.0) * [1.1, 1, 1, 1, 1]
    a, b = fixed_and_growing(SIZES, costs, 3)
    assert b == pytest.approx(1.0, rel=0.01) and a == pytest.approx(161, rel=0.01)


def test_the_exponent_of_a_growth_is_of_its_largest_sizes_with_a_band_over_turns():
    seconds = np.array([[5.0, 1.0, 2.0], [7.0, 1.0, 4.0], [9.0, 1.0, 8.0]])
    growth = Growth(np.array([1.0, 2.0, 4.0]), seconds)
    estimate = growth.exponent(2)
    assert estimate.mean == pytest.approx(2.0) and estimate.n == 3
    assert estimate.high - estimate.mean == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    assert growth.fastest == pytest.approx([5, 1, 2])
    assert growth.slopes() == pytest.approx([np.log2(1 / 5), 1.0])


def test_the_band_covers_the_exponent_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(2_000):
        seconds = 1e-6 * SIZES**1.5 * np.exp(0.1 * rng.normal(size=(5, len(SIZES))))
        estimate = Growth(SIZES, seconds).exponent(4)
        hits += estimate.low <= 1.5 <= estimate.high
    assert hits / 2_000 == pytest.approx(0.95, abs=0.015)


class Machine:
    """A clock that moves only when a work is done, with a delay that only the test knows."""

    def __init__(self, delays: list[float] | None = None) -> None:
        self.now, self.log, self.delays = 0.0, [], list(delays or [])

    def work(self, size: int, seconds: float) -> Callable[[], None]:
        """Return a work that takes so many seconds of this clock and notes its size."""

        def call() -> None:
            self.log.append(size)
            self.now += seconds + (self.delays.pop(0) if self.delays else 0.0)

        return call


def test_sizes_take_turns_up_and_down_and_the_fastest_try_counts(monkeypatch):
    machine = Machine(delays=[*(4 * [0.0]), 0.5, 0.0, 0.0, 0.25, *(8 * [0.0]), 1.0, 1.0])
    monkeypatch.setattr(scaling, "process_time", lambda: machine.now)
    works = {2: machine.work(2, 4.0), 3: machine.work(3, 9.0)}
    growth = time_growth(works, turns=4, tries=2)
    assert machine.log[4:] == 2 * [2, 2, 3, 3, 3, 3, 2, 2]
    assert growth.sizes == pytest.approx([2, 3])
    assert growth.seconds == pytest.approx(np.array([[4, 9], [4, 9], [4, 9], [4, 10]]))


def test_short_works_are_called_until_the_measurement_is_long_enough(monkeypatch):
    machine = Machine(delays=[100.0])  # the first call warms up and is not timed
    monkeypatch.setattr(scaling, "process_time", lambda: machine.now)
    works = {1: machine.work(1, 1.0), 2: machine.work(2, 64.0)}
    growth = time_growth(works, turns=1, tries=1, shortest=10.0)
    assert machine.log == [1, 1, 2, 2] + 10 * [1] + [2]
    assert growth.seconds == pytest.approx(np.array([[1, 64]]))


def test_a_real_work_is_timed():
    growth = time_growth({n: lambda n=n: sum(range(n)) for n in (1_000, 100_000)}, turns=2)
    assert growth.seconds.shape == (2, 2) and (growth.seconds > 0).all()
    assert growth.slopes()[0] > 0.3


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: power_exponents([1], [1.0]), "sizes"),
        (lambda: power_exponents([0, 1], [1.0, 1.0]), "sizes"),
        (lambda: power_exponents([2, 1], [1.0, 1.0]), "sizes"),
        (lambda: power_exponents([1, 1], [1.0, 1.0]), "sizes"),
        (lambda: power_exponents([[1, 2]], [1.0, 1.0]), "sizes"),
        (lambda: power_exponents([1, 2], [1.0, 1.0, 1.0]), "costs"),
        (lambda: power_exponents([1, 2], 1.0), "costs"),
        (lambda: local_slopes([1, 2], [1.0, 0.0]), "costs"),
        (lambda: local_slopes([1, 2], [1.0, np.nan]), "costs"),
        (lambda: fixed_and_growing([1, 2], [[1.0, 2.0]], 1), "costs"),
        (lambda: fixed_and_growing([1, 2], [1.0, 2.0], 0), "power"),
        (lambda: time_growth({1: print}), "works"),
        (lambda: time_growth({2: print, 1: print}), "works"),
        (lambda: time_growth({1: print, 2: print}, turns=0), "turns"),
        (lambda: time_growth({1: print, 2: print}, tries=0), "tries"),
        (lambda: time_growth({1: print, 2: print}, shortest=0.0), "shortest"),
        (lambda: Growth(np.array([1.0, 2.0]), np.ones((2, 2))).exponent(1), "largest"),
        (lambda: Growth(np.array([1.0, 2.0]), np.ones((2, 2))).exponent(3), "largest"),
        (lambda: Growth(np.array([1.0, 2.0]), np.ones((1, 2))).exponent(2), "samples"),
    ],
)
def test_bad_input_is_refused_by_name(call, name: str):
    with pytest.raises(ValueError, match=f"^{name}: "):
        call()
