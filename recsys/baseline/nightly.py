"""The batch model of a shop that trains at night: a log goes in, a greedy policy comes out."""

from __future__ import annotations

from collections.abc import Callable

from recsys.baseline.greedy import ModelPolicy, fit
from recsys.baseline.training import Training
from recsys.shop import Log, ObservedFeatures, Shop


def nightly_network(
    shop: Shop, batch_size: int = 1_024
) -> Callable[[Log], tuple[ModelPolicy, ObservedFeatures]]:
    """Return what trains Embedding + MLP on the observed features, from nothing, each night.

    Parameters
    ----------
    shop : Shop
        Where the policies will serve. Its seed and the night decide the initial parameters, the
        order of the batches and the draws of the policy.
    batch_size : int
        Impressions in a step of training.

    Returns
    -------
    callable
        Takes a log, as ``lab.retrain`` asks for, and returns the greedy policy and its featurizer.
        A night is known by the last round of its log: asked twice, the network is trained once.
    """
    featurizer, networks = ObservedFeatures(shop), {}

    def train(log: Log) -> tuple[ModelPolicy, ObservedFeatures]:
        night = int(log.rounds[-1])
        if night not in networks:
            training = Training(seed=1_000_000 * shop.seed + night, batch_size=batch_size)
            networks[night], _ = fit(featurizer, log, training)
        rng = shop.policy_rng(f"network {night}")
        return ModelPolicy(networks[night], shop.n_products, rng=rng), featurizer

    return train
