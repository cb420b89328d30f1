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

KINDS = ("peer", "other", "own", "limit")


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
    kind : {"peer", "other", "own", "limit"}
        What an opponent is: another way to the same result; somebody with another formula, for
        speed only; another way of ours; or a part of the work that nobody can leave out, such as
        reading the state once or the products alone. The share of the machine's limit that we
        reach is the time of the last over ours.
    note : str
        What differs from our work, or what the limit counts.
    """

    run: Callable[[object], object]
    units: int = 1
    prepare: Callable[[], object] = lambda: None
    kind: str = "peer"
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: got {self.kind!r}, expected one of {', '.join(KINDS)}")

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


@dataclass
class Race:
    """Runs races and writes what they found into pytest-benchmark's record (fixture ``race``)."""

    benchmark: BenchmarkFixture
    facts: dict[str, float] = field(default_factory=dict)  # measured, but no ratios of times

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
                    "kind": against[name].kind,
                    "note": against[name].note,
                }
                for name in names
            ],
            "facts": self.facts,
        }
        return {name: median(values) for name, values in ratios.items()}

    def fact(self, name: str, value: float) -> None:
        """Add a measured number, such as a peak of memory, to the record of the race to follow."""
        self.facts[name] = float(value)


def spread(seconds: list[float]) -> dict[str, float]:
    """Return median, least and greatest of the seconds a unit took."""
    return {"seconds": median(seconds), "low": min(seconds), "high": max(seconds)}
