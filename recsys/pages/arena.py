"""The arena of chapter 3: in which shops the agents play, who plays, and what all have read.

An agent plays the shops of many seeds at once, in a world of its own for each shop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from recsys.lab import read_logs
from recsys.linear import LinUCB
from recsys.neural import NeuralUCB, Schedule
from recsys.policies import Policy
from recsys.shop import CodedFeatures, Featurizer, Log, Shop, ShopConfig

LOG, DAY = 10_000, 800  # visits in yesterday's log, and in a day
ADAM = {"batch_size": 64, "restart": False, "optimiser": "adam", "learning_rate": 1e-3}
EACH_VISIT = Schedule(1, **ADAM)
IN_PRACTICE = {
    "covariance": "diagonal",
    "dtype": "float32",
    "init": "torch",
    "bias": True,
    "output_scale": "one",
    "gradient_scale": "one",
}


def network(
    kind: type[NeuralUCB],
    alpha: float,
    ridge: float = 1e-3,
    schedule: Schedule = EACH_VISIT,
    **settings: object,
) -> Callable[[int], NeuralUCB]:
    """Return what makes a fresh network that plays twenty shops at once, given their products."""
    settings = IN_PRACTICE | {"n_worlds": 20, "schedule": schedule} | settings

    def fresh(n_products: int) -> NeuralUCB:  # one network for all: their number plays no part
        rng = np.random.default_rng(0)
        return kind(CodedFeatures.n_features, (64,), alpha, ridge, rng=rng, **settings)

    return fresh


def regression(
    kind: type[LinUCB], alpha: float, ridge: float, n_features: int = 9, **settings: object
) -> Callable[[int], LinUCB]:
    """Return what makes a fresh linear agent that plays twenty shops at once."""
    settings = {"n_worlds": 20} | settings

    def fresh(n_products: int) -> LinUCB:
        rng = np.random.default_rng(0)
        return kind(n_products, n_features, alpha, ridge, rng=rng, **settings)

    return fresh


def open_shops(
    strength: float = 0.0, n_products: int = 50, seeds: Iterable[int] = range(20)
) -> tuple[list[Shop], list[Log]]:
    """Return shops with yesterday's logs, and two trends to come: to fish, then to birds."""
    shops = [Shop(ShopConfig(n_products=n_products), seed) for seed in seeds]
    logs = [shop.log(LOG) for shop in shops]
    for shop in shops:
        shop.shock(at=LOG + DAY, strength=strength, towards="fish")
        shop.shock(at=LOG + 2 * DAY, strength=strength, towards="bird")
    return shops, logs


def informed(
    agent: Policy, view: type[Featurizer], shops: Sequence[Shop], logs: Sequence[Log]
) -> tuple[Policy, list[Featurizer]]:
    """Let a fresh agent read the logs; return it, and how it sees each shop."""
    views = [view(shop) for shop in shops]
    if isinstance(agent, NeuralUCB):
        pairs = list(zip(views, logs, strict=True))
        rows = np.stack([v.rows(log.users, log.products, log.rounds) for v, log in pairs])
        agent.read(rows, np.stack([log.clicks for log in logs]), steps=1_000)
    else:
        read_logs(agent, shops, logs, views)
    return agent, views
