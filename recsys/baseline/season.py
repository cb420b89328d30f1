"""The season of chapter 1: a log of yesterday's rule, models trained on it, and later visits.

The models are trained once, on the log, and frozen; newcomers come long after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.greedy import ModelPolicy, fit_with
from recsys.baseline.logistic import LogisticPolicy
from recsys.policies import MostPopular, Oracle, RandomPolicy, ScoringPolicy
from recsys.shop import Featurizer, Identifiers, Log, ObservedFeatures, Shop, Truth

N_LOG = 100_000  # impressions in the log
TODAY = 130_000  # the round at which a trained model begins to serve
NEW_USERS, NEW_PRODUCTS = 150_000, 170_000  # the rounds at which newcomers enter


class FrozenModels(NamedTuple):
    """The three models of chapter 1, trained on one log."""

    ids: ClickNetwork  # Embedding + MLP: user id, product id
    features: ClickNetwork  # MLP on features: product id, observed features of the user
    logistic: LogisticPolicy  # the same information, no hidden layer


def shop_with_newcomers(seed: int) -> Shop:
    """Return a shop that 200 users join after a while, and 8 products later still."""
    shop = Shop(seed=seed)
    shop.churn(at=NEW_USERS, n_users=200)
    shop.churn(at=NEW_PRODUCTS, n_products=8)
    return shop


def train_models(
    shop: Shop, log: Log, settings: Mapping[str, Mapping[str, object]] | None = None
) -> FrozenModels:
    """Train the three models on the log of one shop, whose seed is the seed of the training.

    Parameters
    ----------
    shop : Shop
    log : Log
    settings : mapping, optional
        Of each model by its name in ``FrozenModels``: the ``settings`` of a ``lab.Record``. Those
        of the networks are for ``fit_with``, that of the regression for ``LogisticPolicy``.
    """
    how = {name: {} for name in FrozenModels._fields} if settings is None else settings
    if lacking := set(FrozenModels._fields) - set(how):
        raise ValueError(f"settings: got none for {sorted(lacking)}, expected some for each model")
    seen = ObservedFeatures(shop)
    return FrozenModels(
        ids=fit_with(how["ids"], Identifiers(shop), log, shop.seed)[0],
        features=fit_with(how["features"], seen, log, shop.seed)[0],
        logistic=LogisticPolicy(seen, log, **how["logistic"]),
    )


def frozen_field(
    shop: Shop, log: Log, models: FrozenModels
) -> dict[str, tuple[ScoringPolicy, Featurizer]]:
    """Return the policies of chapter 1, each with what it sees; none learns any more."""
    K, ids, seen, rng = shop.n_products, Identifiers(shop), ObservedFeatures(shop), shop.policy_rng
    return {
        "random": (RandomPolicy(K, rng=rng("random")), ids),
        "popular": (MostPopular.from_log(log, K, rng=rng("popular")), ids),
        "ids": (ModelPolicy(models.ids, K, rng=rng("ids")), ids),
        "features": (ModelPolicy(models.features, K, rng=rng("features")), seen),
        "logistic": (models.logistic, seen),
        "oracle": (Oracle(K, rng=rng("oracle")), Truth(shop)),
    }
