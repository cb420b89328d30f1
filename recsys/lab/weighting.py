"""What a policy would have earned, by the log of another one: weights, and intervals for them.

A row counts ``target / propensity`` times, the weight of ``prop-ips``. A log enters through five
sums of its weights, or through the counts of its thinned copy, so the same lines serve one log and
thousands (``lab.coverage``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri

from recsys import checks
from recsys.lab import columns
from recsys.lab.bands import LEVEL, Estimate
from recsys.lab.serving import scored
from recsys.policies import Policy
from recsys.shop import Featurizer, Log, Shop, Visits

METHODS = ("ips", "snips", "replay")
HEAVIEST = 1e100  # a weight whose square is still a float
HORIZON = 2**62  # no round comes later


@dataclass(frozen=True)
class LogEstimate(Estimate):
    """The value of a policy that did not fill the log, with an interval; ``n`` counts the rows."""

    effective_sample_size: float  # equally weighted rows that would tell as much
    largest_weight: float  # of the log's rows

    @property
    def value(self) -> float:
        """The estimate itself: expected clicks per visit."""
        return self.mean


def estimate_value(
    log: Log,
    target: ArrayLike,
    method: str = "ips",
    largest_weight: float | None = None,
    rng: np.random.Generator | None = None,
    level: float = LEVEL,
) -> LogEstimate:
    """Return the value of a policy, estimated from a log with propensities.

    Parameters
    ----------
    log : Log
        n rows; every product that the target may show had a positive propensity.
    target : (n,) or (n, K)
        The probability with which the policy would have shown the product of each row, or its
        probabilities for all products. It must not be chosen by the clicks of these rows.
    method : str
        ``"ips"``, the mean of weight times click, with a normal interval. ``"snips"``, the same
        divided by the mean weight, with a normal interval by the delta method. ``"replay"``, which
        keeps a row with probability ``weight / largest_weight``: what is kept is a log of the
        target, so the exact binomial interval of Clopper and Pearson holds, however few it is.
    largest_weight : float, for ``"replay"``
        No weight can be larger, in this log or another. It comes from the rules, not the log.
    rng : numpy.random.Generator, optional
        Of the rows that ``"replay"`` keeps.
    level : float
        Confidence level in (0, 1).

    Returns
    -------
    LogEstimate
        Its value is NaN where ``"replay"`` keeps no row; the interval is then all of ``[0, 1]``.

    Raises
    ------
    ValueError
        If columns do not fit, a propensity is 0, no row has a weight, or one has a larger one.
    """
    method = checks.one_of("method", method, METHODS)
    clicks, weights = _rows(log, target)
    level = checked_level(level)
    if method == "replay":
        bound = checked_bound(largest_weight, weights.max())
        rng = checks.generator("rng", rng)
        kept = rng.random(len(weights)) * bound < weights
        found = replay_interval(clicks[kept].sum(), kept.sum(), level)
    else:
        heavy = weights**2
        sums = (weights.sum(), heavy.sum(), weights @ clicks, heavy @ clicks)
        found = normal_interval(len(weights), *sums, level, itself=method == "snips")
    size = effective_sample_size(weights)
    return LogEstimate(*map(float, found), len(weights), size, float(weights.max()))


def effective_sample_size(weights: ArrayLike) -> float:
    """Return Kish's number ``(sum w)^2 / sum w^2``: how many equal weights would tell as much.

    Parameters
    ----------
    weights : (n,) numbers >= 0, not all 0
    """
    weights = columns.numbers("weights", weights, (None,))
    if not weights.size or weights.min() < 0 or weights.max() == 0:
        raise ValueError("weights: got none, or negative ones, expected some above 0")
    share = weights / weights.max()
    return float(share.sum() ** 2 / (share**2).sum())


def chances_of_shown(shop: Shop, policy: Policy, featurizer: Featurizer, log: Log) -> np.ndarray:
    """Return the probability (n,) with which a policy shows the product of each row of a log.

    The target of ``estimate_value``. The policy stands still; the rounds follow on each other.
    """
    rounds = columns.ids("log.rounds", log.rounds, HORIZON)
    if not len(rounds) or (np.diff(rounds) != 1).any():
        raise ValueError("log.rounds: got none, or gaps, expected rounds that follow on each other")
    products = columns.ids("log.products", log.products, shop.n_products)
    visits, chances = Visits(log.rounds, log.users, np.zeros(len(log))), np.empty(len(log))
    for rows, table, index in scored(shop, policy, featurizer, visits):
        chances[rows] = table[index, products[rows]]
    return chances


# ---------------------------------------------------------------------- intervals from sums


def normal_interval(
    n: ArrayLike,
    total: ArrayLike,
    squares: ArrayLike,
    clicked: ArrayLike,
    clicked_squares: ArrayLike,
    level: float,
    itself: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value, low and high of the weighted estimates, with the spread of their rows.

    Parameters
    ----------
    n : rows
    total, squares : sums of the weights and of their squares
    clicked, clicked_squares : the same of the rows with a click
    level : float
    itself : bool
        Whether the estimate is divided by the mean weight (self-normalised).
    """
    if itself:
        value = clicked / total
        squared = clicked_squares * (1 - 2 * value) + squares * value**2  # of w (r - value), summed
        spread = np.sqrt(np.maximum(squared, 0.0)) / total
    else:
        value = clicked / n
        spread = np.sqrt(np.maximum(clicked_squares / n - value**2, 0.0) / (n - 1))
    half = ndtri(0.5 + level / 2) * spread
    return value, value - half, value + half


def replay_interval(
    clicks: ArrayLike, kept: ArrayLike, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value, low and high of a click rate: Clopper and Pearson's exact interval."""
    clicks, kept = np.asarray(clicks, dtype=float), np.asarray(kept, dtype=float)
    tail, misses = (1 - level) / 2, kept - clicks
    with np.errstate(invalid="ignore"):
        value = np.where(kept > 0, clicks / kept, np.nan)
    low = np.where(clicks > 0, betaincinv(np.maximum(clicks, 1), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(clicks + 1, np.maximum(misses, 1), 1 - tail), 1.0)
    return value, low, high


def checked_level(level: float) -> float:
    """Return a confidence level strictly between 0 and 1, or refuse it."""
    if not 0.0 < checks.number("level", level, 0.0, 1.0) < 1.0:
        raise ValueError(f"level: got {level!r}, expected a number strictly between 0 and 1")
    return float(level)


def checked_bound(largest_weight: float | None, found: float) -> float:
    """Return a bound on the weights that none of those found exceeds, or refuse it."""
    if largest_weight is None:
        raise ValueError("largest_weight: got None, expected a bound that comes from the rules")
    bound = checks.number("largest_weight", largest_weight, 0.0)
    if found > bound * (1 + 1e-9):
        expected = f"at least {found}, the largest weight"
        raise ValueError(f"largest_weight: got {largest_weight!r}, expected {expected}")
    return bound


def _rows(log: Log, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return clicks (n,) and weights (n,) of a log's rows, or refuse them."""
    clicks = columns.clicks("log.clicks", log.clicks)
    propensities = columns.probabilities("log.propensities", log.propensities)
    if len(clicks) < 2 or propensities.min() == 0:
        raise ValueError(
            f"log: got {len(clicks)} rows or a propensity of 0, expected two rows or more with "
            "positive propensities"
        )
    target = columns.outcomes("target", target)
    if target.ndim == 2 and len(target) == len(clicks):
        if np.abs(target.sum(axis=1) - 1).max() > 1e-6:
            raise ValueError("target: got rows that do not sum to 1, expected probabilities")
        products = columns.ids("log.products", log.products, target.shape[1])
        target = target[np.arange(len(clicks)), products]
    columns.same_shape(clicks, target, "target")
    with np.errstate(over="ignore"):
        weights = target / propensities
    if not 0 < weights.max() < HEAVIEST:
        raise ValueError(
            f"target: got a largest weight of {weights.max()}, expected one above 0, for otherwise "
            f"the log tells nothing of the target, and below {HEAVIEST}"
        )
    return clicks, weights
