"""One function, many seeds or cases: parallel runs through joblib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

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
    hidden = None if progress is None else not progress
    with warnings.catch_warnings():
        # joblib replaces a worker whose memory has grown and says so; no result depends on it.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
        jobs = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(i) for i in items)
        return list(tqdm(jobs, total=len(items), unit=unit, disable=hidden))
