import numpy as np
import pytest

from recsys.baseline import (
    NEW_PRODUCTS,
    NEW_USERS,
    TODAY,
    LogisticPolicy,
    ModelPolicy,
    Training,
    fit,
    frozen_field,
    shop_with_newcomers,
    train_models,
)
from recsys.lab import run
from recsys.policies import MostPopular
from recsys.shop import Identifiers, ObservedFeatures, Shop
from strategies import snapshot


@pytest.fixture(scope="module")
def season():
    shop = shop_with_newcomers(4)
    log = shop.log(1_500)
    return shop, log, train_models(shop, log)


def test_newcomers_change_nothing_before_they_come():
    plain, shop = Shop(seed=4), shop_with_newcomers(4)
    one, other = plain.log(2_000), shop.log(2_000)
    for name in ("rounds", "users", "products", "clicks"):
        assert (getattr(one, name) == getattr(other, name)).all()
    assert np.allclose(one.propensities, other.propensities, rtol=1e-12)
    assert snapshot(plain.visits(NEW_USERS - 50, 50)) == snapshot(shop.visits(NEW_USERS - 50, 50))


def test_users_come_first_and_products_later():
    shop = shop_with_newcomers(4)
    assert TODAY < NEW_USERS < NEW_PRODUCTS
    assert (shop.n_users, shop.n_products) == (1_200, 58)
    assert shop.present_users(NEW_USERS - 1).sum() == 1_000
    assert shop.present_users(NEW_USERS).all()
    before, after = shop.available(NEW_PRODUCTS - 1), shop.available(NEW_PRODUCTS)
    assert before.sum() == after.sum() == 50
    assert not before[50:].any()
    assert after[50:].all()


def test_each_model_is_the_one_that_a_reader_would_train_by_hand(season):
    shop, log, models = season
    by_hand, _ = fit(Identifiers(shop), log, Training(seed=4))
    seen = ObservedFeatures(shop)
    features, _ = fit(seen, log, Training(seed=4))
    rows = seen.rows(np.arange(20)[:, None], np.arange(50), TODAY)
    pairs = Identifiers(shop).rows(np.arange(20)[:, None], np.arange(50), TODAY)
    assert (models.ids.predict(pairs) == by_hand.predict(pairs)).all()
    assert (models.features.predict(rows) == features.predict(rows)).all()
    assert (models.logistic.predict(rows) == LogisticPolicy(seen, log).predict(rows)).all()


def test_the_field_serves_with_what_each_policy_sees(season):
    shop, log, models = season
    field = frozen_field(shop, log, models)
    assert not any(policy.learns for policy, _ in field.values())
    trace = {name: run(shop, *pair, TODAY, 200) for name, pair in field.items()}
    assert (trace["oracle"].mu == trace["oracle"].best).all()
    popular = MostPopular.from_log(log, 58).scores(None).argmax()
    assert (trace["popular"].arms == popular).all()
    _, featurizer = field["ids"]
    alone = ModelPolicy(models.ids, 58, rng=shop.policy_rng("ids"))
    assert (run(shop, alone, featurizer, TODAY, 200).arms == trace["ids"].arms).all()
