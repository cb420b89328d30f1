"""What linear models can reach at best: greed on the best linear fit to the true click rates."""

from __future__ import annotations

import numpy as np

from recsys import checks
from recsys.shop import Shop


def best_linear_fit(shop: Shop, round_: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the click rates (n_users, n_products) at a round, and the best linear fit to them.

    Each product has its own least squares on the users' features, over all users, each weighted by
    how often they come.
    """
    users, arms = np.arange(shop.n_users), np.arange(shop.n_products)
    weights = np.sqrt(shop.visit_probabilities(round_))[:, None]
    X, mu = shop.users.features, shop.click_probability(users[:, None], arms, round_)
    return mu, X @ np.linalg.lstsq(weights * X, weights * mu, rcond=None)[0]


def linear_limit(shop: Shop, start: int, n: int) -> np.ndarray:
    """Return the click rates (n,) of greed on the best linear fit, in ``n`` visits from ``start``.

    The world is taken as it is at ``start``. Disjoint ridge regression without a bonus tends to it
    with endless data on every product.
    """
    mu, fitted = best_linear_fit(shop, checks.integer("start", start, 0))
    best = np.where(shop.available(start), fitted, -np.inf).argmax(axis=1)
    return mu[np.arange(len(mu)), best][shop.visits(start, checks.integer("n", n, 1)).users]
