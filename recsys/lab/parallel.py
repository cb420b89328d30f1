"""One function, many seeds or cases: parallel runs through joblib, here or on a cluster.

``joblib.parallel_config`` says where the calls run; the code that asks for them stays as it is.
With the extra ``recsys[cluster]`` a sweep runs on the workers of a Dask scheduler::

    from distributed import Client

    with Client("tcp://scheduler:8786"), joblib.parallel_config(backend="dask"):
        traces = replicate(policies, seeds=range(200))

There every thread of every worker is a process as joblib counts them, whatever ``n_jobs`` says. It
counts when the call begins, and with one it plays in the caller's process: let workers join first
(``client.wait_for_workers``).
The function may be a closure, or stand in a script or a notebook: it travels by value. What it
imports must be installed where scheduler and workers are; what it returns must be picklable. What a
worker that dies has not delivered is done again by others; a call in whose company four workers
have died is given up and raises ``distributed.scheduler.KilledWorker``. Since a call depends on
its seed or case only, the results are those of local processes bit for bit, where processors and
packages are the same.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import fields, is_dataclass

import numpy as np

from recsys import checks


def stack(results: Sequence) -> object:
    """Join results of equal form along a new first axis: mappings, dataclasses, arrays, numbers.

    Other objects (trained models, say) are kept as a list.
    """
    if not len(results):
        raise ValueError("results: got none, expected at least one")
    first = results[0]
    if isinstance(first, Mapping):
        return {key: stack([r[key] for r in results]) for key in first}
    if is_dataclass(first):
        return type(first)(*(stack([getattr(r, f.name) for r in results]) for f in fields(first)))
    if isinstance(first, np.ndarray | np.generic | float | int):
        return np.stack([np.asarray(r) for r in results])
    return list(results)


def over_seeds(
    function: Callable[[int], object],
    seeds: Iterable[int] = range(20),
    n_jobs: int = -1,
    progress: bool | None = None,
) -> object:
    """Call ``function(seed)`` for every seed in parallel and ``stack`` what it returns.

    Parameters
    ----------
    function : callable
        Takes a seed; returns a mapping, a dataclass, an array or a number.
    seeds : iterable of int
    n_jobs : int
        Processes, as joblib counts them; ``joblib.parallel_config`` says where they run.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.

    Raises
    ------
    ValueError
        If there is no seed, or a seed is not a non-negative integer.
    """
    if not isinstance(seeds, Iterable):
        raise ValueError(f"seeds: got {seeds!r}, expected several integers")
    checked = [checks.integer("seeds", seed, 0) for seed in seeds]
    if not checked:
        raise ValueError("seeds: got none, expected at least one")
    return stack(_in_parallel(function, checked, n_jobs, progress, "seed"))


def over_cases(
    function: Callable[[Hashable], object],
    cases: Iterable[Hashable],
    n_jobs: int = -1,
    progress: bool | None = None,
) -> dict:
    """Call ``function(case)`` for every case (a policy's name, a setting) in parallel.

    Parameters
    ----------
    function : callable
        Takes a case and returns anything.
    cases : iterable
        All different; the slowest first keeps the processes busy to the end.
    n_jobs, progress :
        As in ``over_seeds``.

    Returns
    -------
    dict
        The result of each case, in the order of ``cases``.

    Raises
    ------
    ValueError
        If there is no case, or one occurs twice.
    """
    checked = list(cases) if isinstance(cases, Iterable) else []
    if not checked or len(set(checked)) != len(checked):
        raise ValueError(f"cases: got {cases!r}, expected one or more, all different")
    results = _in_parallel(function, checked, n_jobs, progress, "case")
    return dict(zip(checked, results, strict=True))


def _in_parallel(
    function: Callable, items: list, n_jobs: int, progress: bool | None, unit: str
) -> list:
    from joblib import Parallel, delayed  # here: only who asks for many runs pays for the import
    from tqdm import tqdm

    hidden = None if progress is None else not progress
    function = _on_one_thread(function)
    with warnings.catch_warnings(), _failures_are_reported():
        # joblib replaces a worker whose memory has grown and says so; no result depends on it.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
        jobs = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(i) for i in items)
        return list(tqdm(jobs, total=len(items), unit=unit, disable=hidden))


def _on_one_thread(function: Callable) -> Callable:
    """Return the function, called with one thread of BLAS, OpenMP and torch wherever it runs.

    A sum that is divided among threads is added in another order, and a worker has another number
    of threads than its caller. One each is also the fastest where the processes are busy.
    """

    def call(item: object) -> object:
        from threadpoolctl import threadpool_limits

        torch = sys.modules.get("torch")  # no torch, no threads of torch
        threads = None if torch is None else torch.get_num_threads()
        with threadpool_limits(limits=1):
            try:
                if torch is not None:
                    torch.set_num_threads(1)
                return function(item)
            finally:
                if torch is not None:
                    torch.set_num_threads(threads)

    return call


@contextmanager
def _failures_are_reported() -> Iterator[None]:
    """Let joblib's Dask backend tell ``Parallel`` about calls that the cluster has given up.

    joblib 1.6 calls back after a result and after an exception of the function, but not after one
    of the cluster itself (``KilledWorker``, a function that cannot be imported there), for which a
    sweep would wait for ever. Other backends are left alone.
    """
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if type(backend).__name__ != "DaskDistributedBackend":
        yield
        return
    submit = backend.submit

    def reporting(function: Callable, callback: Callable) -> Future:
        def report(future: Future) -> None:
            if (error := future.exception()) is not None:
                callback(error)

        future = submit(function, callback)
        future.add_done_callback(report)
        return future

    backend.submit = reporting
    try:
        yield
    finally:
        backend.submit = submit
