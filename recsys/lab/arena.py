"""Many shops with yesterday's logs, agents that have read them, and trends to come.

An agent plays the shops of all seeds at once, in a world of its own for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from recsys import worlds
from recsys.lab.experiment import read_logs
from recsys.policies import EpsilonGreedy, Policy
from recsys.shop import Featurizer, Log, Shop, ShopConfig

LOG, DAY = 10_000, 800  # visits in yesterday's log, and in a day after it


def open_shops(
    strength: float = 0.0, n_products: int = 50, seeds: Iterable[int] = range(20)
) -> tuple[list[Shop], list[Log]]:
    """Return shops with their logs, and two trends to come.

    Parameters
    ----------
    strength : float
        Of the trends: towards fish one day after the log, towards birds one day later; 0 for none.
    n_products : int
    seeds : iterable of int
        A shop for each.
    """
    shops = [Shop(ShopConfig(n_products=n_products), seed) for seed in seeds]
    logs = [shop.log(LOG) for shop in shops]
    for shop in shops:
        shop.shock(at=LOG + DAY, strength=strength, towards="fish")
        shop.shock(at=LOG + 2 * DAY, strength=strength, towards="bird")
    return shops, logs


def informed(
    agent: Policy,
    view: type[Featurizer],
    shops: Sequence[Shop],
    logs: Sequence[Log],
    epsilon: float = 0.0,
) -> tuple[Policy, list[Featurizer]]:
    """Let a fresh agent read the logs; return it, and how it sees each shop.

    An agent with a schedule of training (a network) reads the rows in a thousand steps, any other
    as if it had chosen them itself. With ``epsilon`` it then plays ε-greedily.
    """
    views = [view(shop) for shop in shops]
    if hasattr(agent, "schedule"):
        pairs = list(zip(views, logs, strict=True))
        rows = np.stack([v.rows(log.users, log.products, log.rounds) for v, log in pairs])
        agent.read(rows, np.stack([log.clicks for log in logs]), steps=1_000)
    else:
        read_logs(agent, shops, logs, views)
    if epsilon > 0.0:
        agent = EpsilonGreedy(agent, epsilon, worlds.generator(1))
    return agent, views
