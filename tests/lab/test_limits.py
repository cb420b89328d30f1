import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from recsys.lab import best_linear_fit, linear_limit
from strategies import refuses, small_shop


def test_best_fit_is_weighted_least_squares_arm_by_arm():
    shop = small_shop(3)
    shop.shock(at=500)
    for round_ in (0, 500):
        mu, fitted = best_linear_fit(shop, round_)
        X, weights = shop.users.features, shop.visit_probabilities(round_)
        assert mu.shape == fitted.shape == (60, 12)
        for arm in range(12):
            assert mu[5, arm] == shop.click_probability(5, arm, round_)
            peer = LinearRegression(fit_intercept=False).fit(X, mu[:, arm], sample_weight=weights)
            assert fitted[:, arm] == pytest.approx(peer.predict(X), abs=1e-9)
    assert not np.allclose(mu, best_linear_fit(shop, 0)[0])  # the shock has changed it


def test_limit_is_greed_on_the_fit():
    shop = small_shop(1)
    mu, fitted = best_linear_fit(shop, 0)
    limit, users = linear_limit(shop, 40, 30), shop.visits(40, 30).users
    for visit, user in enumerate(users):
        best = max(range(12), key=lambda arm, user=user: fitted[user, arm])
        assert limit[visit] == mu[user, best]
    assert (limit <= mu[users].max(axis=1)).all()


def test_limit_shows_only_what_is_on_sale():
    shop = small_shop(2)
    shop.churn(at=100, n_products=6)
    fitted = best_linear_fit(shop, 100)[1]
    gone = ~shop.available(100)
    assert gone[fitted.argmax(axis=1)].any()  # without the rule somebody would be shown one of them
    mu = shop.click_probability(np.arange(60)[:, None], np.arange(18), 100)
    users = shop.visits(100, 200).users
    on_sale = np.where(gone, -np.inf, fitted)[users].argmax(axis=1)
    assert np.array_equal(linear_limit(shop, 100, 200), mu[users, on_sale])


def test_bad_rounds_are_refused():
    shop = small_shop(0)
    with refuses("start", shop):
        linear_limit(shop, -1, 5)
    with refuses("n", shop):
        linear_limit(shop, 0, 0)
