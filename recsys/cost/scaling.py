"""How a cost grows with a size: times at several sizes, and the exponent of the power through them.

A cost b nᶜ is a straight line of slope c on logarithmic axes. Real costs are sums of powers, a
constant among them, so the slope is a mixture of their exponents (``prop-mixed-exponents``).

Shapes: n sizes, T turns in which every size is timed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import process_time

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks
from recsys.lab import LEVEL, Estimate, band


def power_exponents(sizes: ArrayLike, costs: ArrayLike) -> np.ndarray:
    """Return the least-squares slope (...) of log cost over log size, for costs (..., n)."""
    x, y = _logarithms(sizes, costs)
    x = x - x.mean()
    return (y @ x) / (x @ x)


def local_slopes(sizes: ArrayLike, costs: ArrayLike) -> np.ndarray:
    """Return the slopes (..., n - 1) of log cost over log size between neighbours."""
    x, y = _logarithms(sizes, costs)
    return np.diff(y, axis=-1) / np.diff(x)


def fixed_and_growing(sizes: ArrayLike, costs: ArrayLike, power: float) -> tuple[float, float]:
    """Return a, b >= 0 of the cost a + b nᶜ with the smallest squared relative error, given c.

    Parameters
    ----------
    sizes : (n,) positive and increasing, n >= 2
    costs : (n,) positive
    power : float
        The exponent c, positive.
    """
    x, y = _logarithms(sizes, costs)
    if y.ndim != 1:
        raise ValueError(f"costs: got shape {y.shape}, expected ({len(x)},)")
    power = checks.number("power", power, 1e-3, 1e3)
    from scipy.optimize import nnls

    parts = np.exp([-y, power * x - y]).T  # (n, 2), each divided by the cost
    a, b = nnls(parts, np.ones(len(x)))[0]
    return float(a), float(b)


@dataclass(frozen=True)
class Growth:
    """Seconds that one call takes at every size, once in every turn.

    Attributes
    ----------
    sizes : ndarray (n,)
    seconds : ndarray (T, n)
    """

    sizes: np.ndarray
    seconds: np.ndarray

    @property
    def fastest(self) -> np.ndarray:
        """The smallest time (n,) at every size."""
        return self.seconds.min(axis=0)

    def slopes(self) -> np.ndarray:
        """Return the slopes (n - 1,) of the fastest times between neighbouring sizes."""
        return local_slopes(self.sizes, self.fastest)

    def exponent(self, largest: int, level: float = LEVEL) -> Estimate:
        """Return the exponent over the ``largest`` so many sizes: a fit a turn, and their band.

        The band covers what differs from turn to turn, the noise of the machine. It does not cover
        the error of calling the cost a power.
        """
        largest = checks.integer("largest", largest, 2, len(self.sizes))
        return band(power_exponents(self.sizes[-largest:], self.seconds[:, -largest:]), level)


def time_growth(
    works: Mapping[int, Callable[[], object]],
    turns: int = 7,
    tries: int = 3,
    shortest: float = 2e-4,
) -> Growth:
    """Time a work at several sizes that take turns, so that a slow spell meets all of them.

    The clock is that of the process: it stands still while another program has the processor. With
    the wall's clock a busy machine would change the exponent, because a long work is interrupted
    in every try and a short one is not. So the work may use one thread only.

    Parameters
    ----------
    works : mapping of size to function
        At least two sizes, in increasing order; a function is called without arguments.
    turns : int
        How often the sizes are gone through, up and down alternately.
    tries : int
        Measurements of a size in one turn, of which the fastest counts: what else the machine does
        can only add to a time.
    shortest : float
        Seconds that a measurement lasts at least, by several calls in a row, at least 1e-6.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    sizes = _sizes("works", list(works))
    turns, tries = checks.integer("turns", turns, 1), checks.integer("tries", tries, 1)
    shortest = checks.number("shortest", shortest, 1e-6)
    ways = list(works.values())
    calls = [_calls_within(way, shortest) for way in ways]
    seconds = np.empty((turns, len(ways)))
    for turn in range(turns):
        for n in range(len(ways))[:: 1 if turn % 2 == 0 else -1]:
            total = min(_seconds(ways[n], calls[n]) for _ in range(tries))
            seconds[turn, n] = total / calls[n]
    return Growth(sizes, seconds)


def _seconds(way: Callable[[], object], calls: int) -> float:
    start = process_time()
    for _ in range(calls):
        way()
    return process_time() - start


def _calls_within(way: Callable[[], object], shortest: float) -> int:
    """Return how many calls last ``shortest`` seconds; the first call is not counted."""
    way()
    return max(1, math.ceil(shortest / max(_seconds(way, 1), 1e-9)))


def _sizes(name: str, sizes: ArrayLike) -> np.ndarray:
    sizes = checks.finite(name, sizes, (None,))
    if len(sizes) < 2 or sizes[0] <= 0 or (np.diff(sizes) <= 0).any():
        raise ValueError(f"{name}: got sizes {sizes}, expected at least 2, positive and increasing")
    return sizes


def _logarithms(sizes: ArrayLike, costs: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    sizes, costs = _sizes("sizes", sizes), checks.finite("costs", costs)
    if costs.shape[-1:] != sizes.shape:
        raise ValueError(f"costs: got shape {costs.shape}, expected (..., {len(sizes)})")
    if costs.size and costs.min() <= 0:
        raise ValueError(f"costs: got {costs.min()}, expected positive numbers")
    return np.log(sizes), np.log(costs)
