"""A policy that stands still for a while: many visits at once, and training anew every night.

Its choices do not depend on the rewards meanwhile, so a day is served in a few array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from recsys import checks
from recsys.policies import Policy
from recsys.shop import Featurizer, Log, Shop, Trace, Visits

CHUNK = 512  # visits whose contexts are made together

Trainer = Callable[[Log], tuple[Policy, Featurizer]]


def choose(
    shop: Shop, policy: Policy, featurizer: Featurizer, visits: Visits
) -> tuple[np.ndarray, np.ndarray]:
    """Let a policy that is fixed meanwhile serve many visits: products (n,), propensities (n,).

    Each product is drawn from ``policy.probabilities`` by the policy's own generator.
    """
    n = len(visits.rounds)
    draws = policy.rng.random(n)
    products, propensities = np.empty(n, dtype=np.int64), np.empty(n)
    for rows, chances, index in scored(shop, policy, featurizer, visits):
        products[rows] = drawn(chances, draws[rows], index)
        propensities[rows] = chances[index, products[rows]]
    return products, propensities


def scored(
    shop: Shop, policy: Policy, featurizer: Featurizer, visits: Visits
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield part by part: rows, a fixed policy's chances (distinct, K), and each row's among them.

    Where the contexts depend on the user alone, each user is scored once, however often they come.
    """
    n = len(visits.rounds)
    for rows in shop.stable_parts(visits.rounds, CHUNK if featurizer.depends_on_time else n):
        part = visits[rows]
        who, index = np.arange(len(part.users)), np.arange(len(part.users))
        if not featurizer.depends_on_time:
            _, who, index = np.unique(part.users, return_index=True, return_inverse=True)
        on_sale = shop.available(part.rounds[0])
        users, rounds = part.users[who, None], part.rounds[who, None]
        contexts = featurizer.rows(users, np.arange(shop.n_products), rounds)
        yield rows, policy.probabilities(contexts, on_sale), index


def drawn(chances: np.ndarray, draws: np.ndarray, index: np.ndarray | slice) -> np.ndarray:
    """Return the arms (n,) that uniforms (n,) pick by their rows ``chances[index]`` (n, K)."""
    cumulative = np.cumsum(chances, axis=1)[index]
    return (cumulative <= draws[:, None] * cumulative[:, -1:]).sum(axis=1)


def serve(shop: Shop, policy: Policy, featurizer: Featurizer, n: int) -> Log:
    """Let a policy that is fixed meanwhile serve ``n`` visits from now on; return its log.

    Like ``shop.log`` with ``policy`` in the place of yesterday's: propensities are recorded and
    the clock moves on.
    """
    visits = shop.visits(shop.now, checks.integer("n", n, 1))
    products, propensities = choose(shop, policy, featurizer, visits)
    clicks = shop.clicks(visits, products)
    shop.now += n
    return Log(visits.rounds, visits.users, products, clicks, propensities)


def judge(shop: Shop, log: Log) -> Trace:
    """Return what a log earned and what the best products would have earned, as a ``Trace``."""
    visits = Visits(log.rounds, log.users, np.zeros(len(log)))
    best = np.empty(len(log))
    for rows in (slice(i, i + CHUNK) for i in range(0, len(log), CHUNK)):
        on_sale = shop.available(log.rounds[rows])
        best[rows] = np.where(on_sale, shop.click_probabilities(visits[rows]), 0.0).max(axis=1)
    mu = shop.click_probability(log.users, log.products, log.rounds)
    return Trace(log.products, log.clicks, mu, best)


def retrain(shop: Shop, train: Trainer, log: Log, days: int, visits_a_day: int, window: int) -> Log:
    """Serve day after day with a policy trained the night before; return the log of these days.

    Parameters
    ----------
    shop : Shop
        Its clock moves on by ``days * visits_a_day``.
    train : callable
        Takes a log, returns a new policy and its featurizer.
    log : Log
        What is known before the first night.
    days, visits_a_day : int
    window : int
        Each night the newest ``window`` impressions are read, this policy's own among them.
    """
    days, window = checks.integer("days", days, 1), checks.integer("window", window, 1)
    known = log
    for _ in range(days):
        policy, featurizer = train(known[-window:])
        known = known + serve(shop, policy, featurizer, visits_a_day)
    return known[len(log) :]
