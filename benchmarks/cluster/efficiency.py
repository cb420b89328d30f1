"""What a cluster costs: efficiency on two workers, measured, and on 64, estimated.

    python benchmarks/cluster/efficiency.py

plays tasks of ``sweep.py`` on one and on two single-threaded workers of a cluster on this machine
and by two local processes of joblib, by turns, and writes ``cluster.json`` beside this file and the
measured paragraph of the README. The efficiency on n workers is T(1) / (n T(n)), T being the
seconds from call to result; of each repeat it takes the times of that repeat.

The estimate is that of ``estimated_seconds``: all workers start at once, tasks take equally long,
and the calls are sent one after another by one client and one scheduler. Sending overlaps with
playing, so to add the two is to be on the safe side; that machines differ, that a network is slower
than a loopback and that workers die is left out.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median

import joblib
import numpy as np
from distributed import Client

import sweep
from loopback import PATIENCE, Loopback
from recsys.archive import beside
from recsys.lab import over_cases

HERE = Path(__file__).parent
RECORD, README = HERE / "cluster.json", HERE.parents[1] / "README.md"
PARAGRAPH = re.compile(
    r"(?<=<!-- written by benchmarks/cluster/efficiency.py -->\n).*?(?=\n<!-- end -->)", re.S
)
FORMULA = "T(n) = start + ceil(tasks / n) * task + tasks * send; efficiency = T(1) / (n * T(n))"
MANY = 64  # workers of the estimate
CALLS = 500  # that do nothing, to see what a call costs


def estimated_seconds(n: int, tasks: int, task: float, send: float, start: float) -> float:
    """Return T(n), the seconds that a sweep of equal tasks should take on n workers.

    Parameters
    ----------
    n : int
        Number of workers.
    tasks : int
    task, send, start : float
        Seconds for a task on one worker, to send one, and for a fresh worker's imports.
    """
    return start + math.ceil(tasks / n) * task + tasks * send


def estimate(tasks: int, task: float, send: float, start: float, n: int = MANY) -> dict:
    """Return the estimate for n workers."""
    one, many = (estimated_seconds(workers, tasks, task, send, start) for workers in (1, n))
    return {
        "formula": FORMULA,
        "workers": n,
        "tasks": tasks,
        "seconds_on_one": one,
        "seconds": many,
        "efficiency": one / (n * many),
    }


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(rounds: int, repeats: int) -> dict:
    """Measure on this machine and return the record."""
    sys.path.append(str(HERE.parent))  # of all benchmarks, where ``machine`` stands
    from machine import hardware

    play = sweep.player(sweep.SEEDS, rounds // 2, rounds - rounds // 2)
    cases = list(product([0.1], [1.0, 0.9997], [1.0], range(4)))

    empty = np.zeros((2, sweep.SEEDS_A_TASK))

    def nothing(case: int) -> np.ndarray:  # as large as a task both ways
        return play and empty

    def calls() -> None:  # one by one, as many under way as MANY workers would have
        jobs = joblib.Parallel(batch_size=1, pre_dispatch=2 * MANY, timeout=PATIENCE)
        jobs(joblib.delayed(nothing)(i) for i in range(CALLS))

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        cluster = stack.enter_context(Loopback(2, folder))
        client = stack.enter_context(Client(cluster.address))
        client.wait_for_workers(2, timeout=PATIENCE)
        addresses = sorted(client.ncores())

        def on(n: int, work: Callable[[], object]) -> Callable[[], float]:
            # On a cluster of one thread joblib would play in this process instead.
            def timed() -> float:
                with joblib.parallel_config(backend="dask", workers=addresses[:n]):
                    return seconds(work)

            return timed

        def local() -> float:
            with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
                return seconds(lambda: over_cases(play, cases, n_jobs=2, progress=False))

        def tasks() -> dict:
            return over_cases(play, cases, progress=False)

        start = on(1, lambda: over_cases(nothing, [0], progress=False))()  # imports recsys
        warm = sweep.player(sweep.SEEDS, 50, 50)
        for n in (1, 2):
            on(n, lambda: over_cases(warm, cases, progress=False))()
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            over_cases(warm, cases, n_jobs=2, progress=False)

        runners = {"one_worker": on(1, tasks), "two_workers": on(2, tasks), "two_processes": local}
        runners["calls"] = on(2, calls)
        times: dict[str, list[float]] = {name: [] for name in runners}
        for repeat in range(repeats):
            names = list(runners)
            for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
                times[name].append(runners[name]())
            print(
                f"repeat {repeat + 1} of {repeats}:", {k: round(v[-1], 2) for k, v in times.items()}
            )

    efficiencies = sorted(
        one / (2 * two) for one, two in zip(times["one_worker"], times["two_workers"], strict=True)
    )
    against_processes = median(
        t / p for t, p in zip(times["two_workers"], times["two_processes"], strict=True)
    )
    grid = len(sweep.ALPHAS) * len(sweep.GAMMAS) * len(sweep.STRENGTHS)
    task, send = median(times["one_worker"]) / len(cases), median(times.pop("calls")) / CALLS
    return {
        "date": date.today().isoformat(),
        "machine": hardware(),
        "versions": {name: version(name) for name in ("dask", "distributed", "joblib", "numpy")},
        "task": {"seeds": sweep.SEEDS_A_TASK, "rounds": rounds, "seconds": task},
        "measured": {
            "tasks": len(cases),
            "repeats": repeats,
            "seconds": times,
            "efficiency": median(efficiencies),
            "efficiency_low": efficiencies[0],
            "efficiency_high": efficiencies[-1],
            "two_workers_over_two_processes": against_processes,
            "send_seconds": send,
            "start_seconds": start,
        },
        "estimated": estimate(grid * sweep.SEEDS // sweep.SEEDS_A_TASK, task, send, start),
    }


def paragraph(record: dict) -> str:
    """Return what the README says about a record."""
    measured, estimated, task = record["measured"], record["estimated"], record["task"]
    text = (
        f"Measured with two workers on one machine: efficiency {measured['efficiency']:.2f} "
        f"({measured['efficiency_low']:.2f} to {measured['efficiency_high']:.2f} in "
        f"{measured['repeats']} paired repeats), where 1 means half the time of one worker. To "
        f"send a task costs {1000 * measured['send_seconds']:.1f} ms, to play it "
        f"{task['seconds']:.1f} s. From these we estimate, and have not measured, an efficiency "
        f"of {estimated['efficiency']:.2f} on {estimated['workers']} workers for the "
        f"{estimated['tasks']} tasks of the whole grid: {estimated['seconds'] / 60:.1f} minutes "
        f"instead of {estimated['seconds_on_one'] / 60:.0f}. Formula, times and machine are in "
        "`benchmarks/cluster/cluster.json`, which `python benchmarks/cluster/efficiency.py` writes."
    )
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the paragraph, and write it and the record unless this is a trial."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=sweep.BEFORE + sweep.AFTER, help="of a task")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trial", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the cluster is closed
    record = measure(options.rounds, options.repeats)
    print(paragraph(record))
    if not options.trial:
        text, found = PARAGRAPH.subn(lambda _: paragraph(record), README.read_text("utf-8"))
        if found != 1:
            raise ValueError(f"README: found {found} places for the paragraph, expected one")
        with beside(RECORD) as place:
            place.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
        with beside(README) as place:
            place.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
