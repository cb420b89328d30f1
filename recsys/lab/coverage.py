"""How often an interval holds the truth, over thousands of logs at once.

For one target, the rows of a log differ only in their weight and their click. So a log is a row of
counts, drawn from the known probabilities in one call, with no visit drawn one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks
from recsys.lab.bands import LEVEL
from recsys.lab.weighting import (
    METHODS,
    checked_bound,
    checked_level,
    normal_interval,
    replay_interval,
)


@dataclass(frozen=True)
class ManyLogs:
    """Independent logs of one rule, each as counts of its rows by weight and click."""

    n: int  # rows of each log
    weights: np.ndarray  # (c,) the distinct weights above 0
    clicked: np.ndarray  # (logs, c) rows with a click
    passed: np.ndarray  # (logs, c) rows without one
    value: float  # the target's true value
    deviation: float  # exact standard deviation of its inverse-propensity estimate (prop-ips)

    def intervals(
        self,
        method: str = "ips",
        largest_weight: float | None = None,
        rng: np.random.Generator | None = None,
        level: float = LEVEL,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return value, low and high (logs,) of ``estimate_value`` on each log.

        ``largest_weight`` may be left out: the largest that the rules allow is known here.
        A log in which no row has a weight gives NaN.
        """
        level = checked_level(level)
        method = checks.one_of("method", method, METHODS)
        if method == "replay":
            largest = self.weights.max()
            bound = checked_bound(largest if largest_weight is None else largest_weight, largest)
            rng, keep = checks.generator("rng", rng), self.weights / bound
            clicks = rng.binomial(self.clicked, keep).sum(axis=1)
            return replay_interval(
                clicks, clicks + rng.binomial(self.passed, keep).sum(axis=1), level
            )
        rows, sums = self.clicked + self.passed, []
        for counts in (rows, self.clicked):
            sums += [counts @ self.weights, counts @ self.weights**2]
        empty = np.where(rows.any(axis=1), 0.0, np.nan)
        with np.errstate(invalid="ignore"):
            found = normal_interval(self.n, *sums, level, itself=method == "snips")
        return tuple(part + empty for part in found)


def many_logs(
    visitors: ArrayLike,
    mu: ArrayLike,
    logging: ArrayLike,
    target: ArrayLike,
    n: int,
    logs: int,
    rng: np.random.Generator | None = None,
) -> ManyLogs:
    """Draw logs of n visits each, as counts, from the probabilities of a known world.

    Parameters
    ----------
    visitors : (U,)
        Probability that a visit is each user's.
    mu : (U, K)
        Click probabilities.
    logging, target : (U, K)
        What the rule that fills the logs shows to each user, and what the target would.
    n, logs : int
        Rows of a log, and how many logs.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If shapes differ, rows do not sum to 1, or the target shows what the rule never does.
    """
    mu = checks.probabilities("mu", checks.finite("mu", mu, (None, None)))
    visitors = _distribution("visitors", visitors, mu.shape[:1])
    logging = _distribution("logging", logging, mu.shape)
    target = _distribution("target", target, mu.shape)
    n, logs = checks.integer("n", n, 2), checks.integer("logs", logs, 1)
    rng = checks.generator("rng", rng)
    may = target > 0
    if (logging[may] == 0).any():
        raise ValueError("logging: got a propensity of 0 for what the target shows, expected more")
    weights, cell = np.unique(target[may] / logging[may], return_inverse=True)
    rows = (visitors[:, None] * logging)[may]  # probability of each such row
    clicked, passed = (np.bincount(cell, weights=rows * p) for p in (mu[may], 1 - mu[may]))
    value = float(visitors @ (target * mu).sum(axis=1))
    deviation = float(np.sqrt((clicked @ weights**2 - value**2) / n))
    rest = max(0.0, 1.0 - clicked.sum() - passed.sum())
    counts = rng.multinomial(n, [*clicked, *passed, rest], size=logs)
    c = len(weights)
    return ManyLogs(n, weights, counts[:, :c], counts[:, c : 2 * c], value, deviation)


def _distribution(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    array = checks.probabilities(name, checks.finite(name, values, shape))
    if not array.size or np.abs(array.sum(axis=-1) - 1).max() > 1e-9:
        raise ValueError(f"{name}: got rows that do not sum to 1, expected probabilities")
    return array
