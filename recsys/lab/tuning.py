"""A search for settings: points to try, and worlds to try them in that nothing else plays in.

The contestants of one comparison have one budget: as many points each, in the same worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from recsys import checks, worlds
from recsys.lab.parallel import over_cases
from recsys.lab.record import RULES, Search, Settings, distinct, several

SEARCH_SEEDS = tuple(range(100, 110))  # the worlds of searches, which no page plays in


@dataclass(frozen=True)
class Contestant:
    """What is searched for one contestant of a comparison.

    Parameters
    ----------
    outcome : callable
        Takes settings and a seed, returns a number for each objective. It must depend on nothing
        else: calls run in other processes, and again when a record is checked.
    points : sequence of mappings
        The settings to try, each with the same names, in the order in which they are preferred
        where their outcomes cannot be told apart.
    fixed : mapping
        Settings that all points share; ``outcome`` gets them too.
    """

    outcome: Callable[[dict[str, object], int], Mapping[str, float]]
    points: Sequence[Settings]
    fixed: Settings = field(default_factory=dict)


def grid(**values: Iterable[object]) -> list[dict[str, object]]:
    """Return every combination of the values of each setting, the last one varying fastest."""
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]


def tune(
    comparison: str,
    contestants: Mapping[str, Contestant],
    objective: str,
    rule: str = "best",
    larger: bool = True,
    seeds: Iterable[int] = SEARCH_SEEDS,
    n_jobs: int = -1,
    progress: bool | None = None,
) -> dict[str, Search]:
    """Play every point of every contestant in every world, and choose.

    Parameters
    ----------
    comparison : str
        What the contestants compete in.
    contestants : mapping of Contestant
        All with the same number of points.
    objective : str
        The name of the outcome that decides.
    rule : str
        A key of ``RULES``.
    larger : bool
        Whether a larger outcome is the better one.
    seeds : iterable of int
    n_jobs, progress :
        As in ``over_cases``.

    Returns
    -------
    dict
        A ``Search`` for each contestant, of which ``Record`` makes a file.

    Raises
    ------
    ValueError
        If the budgets differ, or the worlds are shifted by ``RECSYS_WORLDS``.
    """
    refuse_shifted_worlds()
    rule = checks.one_of("rule", rule, tuple(RULES))
    seeds = several(list(seeds))
    if not contestants:
        raise ValueError("contestants: got none, expected at least one")
    sizes = {name: len(contestant.points) for name, contestant in contestants.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"points: got {sizes}, expected the same number for all contestants")
    for contestant in contestants.values():
        distinct(contestant.points)
    plans = {
        name: [{**contestant.fixed, **point} for point in contestant.points]
        for name, contestant in contestants.items()
    }

    def play(case: tuple[str, int, int]) -> dict[str, float]:
        name, point, seed = case
        outcome = contestants[name].outcome(dict(plans[name][point]), seed)
        return {key: float(value) for key, value in outcome.items()}

    cases = [(name, i, s) for name in contestants for i in range(sizes[name]) for s in seeds]
    found = over_cases(play, cases, n_jobs, progress)
    searches = {}
    for name, contestant in contestants.items():
        rows = [[found[name, i, s] for s in seeds] for i in range(sizes[name])]
        outcomes = {
            key: np.array([[one[key] for one in row] for row in rows]) for key in rows[0][0]
        }
        points = tuple(dict(point) for point in contestant.points)
        what = comparison, objective, larger, rule, seeds, dict(contestant.fixed), points
        searches[name] = Search(*what, outcomes)
    return searches


def refuse_shifted_worlds() -> None:
    """Refuse to search, or to compute a record again, in worlds that are not the record's."""
    if worlds.shift() != 0:
        found = f"{worlds.VARIABLE}: got {worlds.shift()}"
        raise ValueError(f"{found}, expected it unset: a record is of the worlds without a shift")
