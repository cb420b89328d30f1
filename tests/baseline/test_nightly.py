import numpy as np

from recsys.baseline import Training, fit, nightly_network
from recsys.lab import retrain
from recsys.shop import ObservedFeatures
from strategies import small_shop


def test_network_is_trained_from_the_log_with_the_nights_own_seed():
    shop = small_shop(4)
    log, seen = shop.log(400), ObservedFeatures(shop)
    policy, featurizer = nightly_network(shop, batch_size=64)(log)
    plain, _ = fit(seen, log, Training(seed=4_000_399, batch_size=64))
    rows = seen.rows(np.arange(60)[:, None], np.arange(12), 400)
    assert isinstance(featurizer, ObservedFeatures)
    assert np.array_equal(policy.scores(rows), plain.logits(rows))
    assert policy.n_arms == 12
    draws = shop.policy_rng("network 399").random(3)
    assert np.array_equal(policy.rng.random(3), draws)


def test_a_night_is_trained_once_and_another_night_anew():
    shop = small_shop(5)
    train, log = nightly_network(shop, batch_size=64), shop.log(300)
    first, again = train(log[:200])[0], train(log[:200])[0]
    assert first.model is again.model
    assert first is not again  # its draws begin anew
    assert train(log)[0].model is not first.model


def test_it_serves_days_in_retrain():
    shop = small_shop(6)
    log = shop.log(200)
    days = retrain(shop, nightly_network(shop, 64), log, 2, 150, 10_000)
    assert days.rounds.tolist() == list(range(200, 500))
