"""A race: ours and the others do the same work by turns in one process, and their times are paired.

Times of one machine drift by tens of per cent within minutes. So no time is compared with one that
was measured later: in each repeat everybody runs once, and what counts is the ratio within that
repeat. Everybody has run before the first repeat, the garbage collector rests while a clock runs,
and the number of threads is set on purpose.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Runner:
    """Somebody who does the work.

    Attributes
    ----------
    run : callable
        Does the work that is timed; gets what ``prepare`` returned.
    units : int
        How many units of work (rounds, decisions, rows) one call of ``run`` does. A slow runner may
        do fewer than a fast one, of the same kind.
    prepare : callable
        Makes a fresh state before each call; not timed.
    goal : float, optional
        For an opponent: how many times as long as ours a unit of theirs should take, at least.
    note : str
        What differs from our work, if anything does.
    """

    run: Callable[[object], object]
    units: int = 1
    prepare: Callable[[], object] = lambda: None
    goal: float | None = None
    note: str = ""

    def seconds(self) -> float:
        """Return how long a unit of work takes, measured once."""
        state = self.prepare()
        gc.collect()
        gc.disable()
        try:
            start = time.perf_counter()
            self.run(state)
            return (time.perf_counter() - start) / self.units
        finally:
            gc.enable()


@dataclass(frozen=True)
class Fact:
    """A measured number that is no ratio of times, such as a peak of memory, and its goal."""

    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; ``None`` without one."""
        if self.at_most is None and self.at_least is None:
            return None
        over = self.at_most is not None and self.value > self.at_most
        return not over and not (self.at_least is not None and self.value < self.at_least)


@dataclass
class Race:
    """Runs races and writes what they found into pytest-benchmark's record (fixture ``race``)."""

    benchmark: BenchmarkFixture
    facts: list[Fact] = field(default_factory=list)

    def __call__(
        self,
        work: str,
        unit: str,
        ours: Runner,
        against: dict[str, Runner],
        repeats: int = 7,
        threads: int = 1,
    ) -> dict[str, float]:
        """Let everybody run by turns and return the median ratio of each opponent to ours.

        Parameters
        ----------
        work : str
            What is done, as the table calls it.
        unit : str
            What one unit of work is, such as "round".
        ours : Runner
        against : dict of Runner
            The opponents by name.
        repeats : int
            Number of paired measurements.
        threads : int
            Threads of BLAS and OpenMP (torch among them).
        """
        names = list(against)
        theirs: dict[str, list[float]] = {name: [] for name in names}
        own: list[float] = []

        def turn() -> None:
            first = len(own) % max(len(names), 1)  # another opponent begins in each repeat
            for name in names[first:] + names[:first]:
                theirs[name].append(against[name].seconds())

        def measured() -> None:
            turn()
            own.append(ours.seconds())

        with threadpool_limits(threads):
            turn(), ours.seconds()  # warm: caches, pages, compiled code
            for times in theirs.values():
                times.clear()
            self.benchmark.pedantic(measured, rounds=repeats, iterations=1)
        ratios = {
            name: sorted(t / o for t, o in zip(times, own, strict=True))
            for name, times in theirs.items()
        }
        self.benchmark.group = work
        self.benchmark.extra_info |= {
            "work": work,
            "unit": unit,
            "threads": threads,
            "repeats": repeats,
            "ours": spread(own),
            "peers": [
                {
                    "name": name,
                    **spread(theirs[name]),
                    "ratio": median(ratios[name]),
                    "ratio_low": ratios[name][0],
                    "ratio_high": ratios[name][-1],
                    "goal": against[name].goal,
                    "note": against[name].note,
                }
                for name in names
            ],
            "facts": [{**vars(fact), "met": fact.met} for fact in self.facts],
        }
        return {name: median(values) for name, values in ratios.items()}

    def fact(self, name: str, value: float, **goal: float) -> None:
        """Add a measured number to the record of the race that follows."""
        self.facts.append(Fact(name, float(value), **goal))


def spread(seconds: list[float]) -> dict[str, float]:
    """Return median, least and greatest of the seconds a unit took."""
    return {"seconds": median(seconds), "low": min(seconds), "high": max(seconds)}
