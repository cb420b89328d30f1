"""The searches of chapter 1, and their record: ``python book/01-batched-baseline/settings.py``.

Three models, two sizes of the log, twelve points each in ten worlds. What decides is the share of
the oracle's clicks that the greedy policy earns on the visits after the log, for the chapter
compares policies, and those of the later chapters are chosen by clicks, too. The log loss on a log
of yesterday's rule stands beside it: a team that has no simulator can compute only that one.

A list begins with the settings of the chapter's first edition; the other points follow, the cheaper
first. The rule takes the first in the list whose band of the difference to the best, world by
world, includes zero: settings move only where another point earns more beyond that band. The list
was amended once, after a look at three of the ten worlds: batches of 512 and 256 came in, and a
batch of 16,384, a decay of 1 and a smaller network went out.
"""

from pathlib import Path

import numpy as np
import torch

from recsys.baseline import N_LOG, LogisticPolicy, ModelPolicy, fit_with
from recsys.lab import Contestant, Record, expected_log_loss, judge, serve, tune
from recsys.policies import ScoringPolicy
from recsys.shop import Featurizer, Identifiers, ObservedFeatures, Shop

PLACE = Path(__file__).with_name("settings.json")
N_VISITS = 30_000  # after the log, to play on
DAY = 12_000  # impressions in the log of a day, for models that are trained every night
RULE = "first within the band"
OBJECTIVE = "share of the oracle's clicks"
EARLY = "held-out loss after one epoch"  # decides nothing: what every processor computes alike

COURSE = {"epochs": 30, "patience": 3, "validation_fraction": 0.1}
START = {
    "embedding_dim": 16, "hidden": [64, 32], "learning_rate": 0.01, "batch_size": 4_096,
    "weight_decay": 0.0,
}  # fmt: skip
MOVES = [
    {},
    {"learning_rate": 0.03},
    {"embedding_dim": 8},
    {"embedding_dim": 32},
    {"hidden": [128, 64]},
    {"weight_decay": 0.1},
    {"learning_rate": 0.003},
    {"batch_size": 1_024},
    {"batch_size": 1_024, "learning_rate": 0.003},
    {"batch_size": 512},
    {"batch_size": 256},
    {"batch_size": 256, "learning_rate": 0.003},
]
NETWORKS = [{**START, **move} for move in MOVES]
DAILY = [{**START, "batch_size": 2_048, **move} for move in MOVES]
STRENGTHS = (0.3, 0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PENALTIES = [{"inverse_penalty": strength} for strength in STRENGTHS]


def outcome(model: str, n_log: int, settings: dict, seed: int) -> dict[str, float]:
    """Train a model on a log, play it greedily on the visits after it, and say how it did."""
    torch.set_num_threads(1)
    shop = Shop(seed=seed)
    log = shop.log(n_log)
    seen: Featurizer = Identifiers(shop) if model == "ids" else ObservedFeatures(shop)
    rng = shop.policy_rng(model)
    policy: ScoringPolicy
    more = {}
    if model == "logistic":
        policy = LogisticPolicy(seen, log, rng=rng, **settings)
    else:
        network, history = fit_with(settings, seen, log, seed)
        policy = ModelPolicy(network, shop.n_products, rng=rng)
        more[EARLY] = history.validation[0]
    after = shop.log(N_VISITS)
    p = shop.click_probability(after.users, after.products, after.rounds)
    z = policy.scores(seen.rows(after.users, after.products, after.rounds))
    shop.now = n_log
    trace = judge(shop, serve(shop, policy, seen, N_VISITS))
    return {
        OBJECTIVE: float(trace.mu.mean() / trace.best.mean()),
        "log loss": expected_log_loss(p, logits=z),
        **more,
    }


def contestants(n_log: int) -> dict[str, Contestant]:
    """Return the three models with their points, for a log of some length."""

    def of(model: str) -> Contestant:
        def play(settings: dict, seed: int) -> dict[str, float]:
            return outcome(model, n_log, settings, seed)

        if model == "logistic":
            return Contestant(play, PENALTIES)
        return Contestant(play, NETWORKS if n_log == N_LOG else DAILY, COURSE)

    return {model: of(model) for model in ("ids", "features", "logistic")}


SEARCHES = {"": ("a log of 100,000 impressions", N_LOG), " daily": ("a log of a day", DAY)}


def search() -> Record:
    """Search for all settings of the chapter."""
    found = {}
    for suffix, (comparison, n_log) in SEARCHES.items():
        field = contestants(n_log)
        of = tune(comparison, field, OBJECTIVE, RULE)
        found |= {model + suffix: one for model, one in of.items()}
    return Record(found)


if __name__ == "__main__":
    record = search()
    record.write(PLACE)
    for name, one in record.items():
        means = np.round(one.outcomes[one.objective].mean(axis=1), 4)
        print(name, one.settings, "chosen", one.chosen, "best", one.best, means)
