"""Times of several ways to do one thing, measured so that the machine's mood is shared."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from time import perf_counter

import numpy as np

from recsys import checks


def take_turns(
    ways: Mapping[Hashable, Callable[[], object]], n_turns: int = 3
) -> dict[Hashable, float]:
    """Return the median seconds of each way, where the ways take turns.

    A spell in which the machine is slow then falls on all of them, so ratios are steadier than
    the times.

    Parameters
    ----------
    ways : mapping from a name to a callable without arguments
        What a call returns is dropped.
    n_turns : int
        Calls of each way.

    Raises
    ------
    ValueError
        If there is no way, or no turn.
    """
    if not ways:
        raise ValueError("ways: got none, expected at least one")
    times: dict[Hashable, list[float]] = {name: [] for name in ways}
    for _ in range(checks.integer("n_turns", n_turns, 1)):
        for name, way in ways.items():
            start = perf_counter()
            way()
            times[name].append(perf_counter() - start)
    return {name: float(np.median(seconds)) for name, seconds in times.items()}
