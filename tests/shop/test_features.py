import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.shop.features import (
    CODE,
    CodedFeatures,
    CrossedFeatures,
    Featurizer,
    Identifiers,
    JointFeatures,
    ObservedFeatures,
    SharedUserFeatures,
    Truth,
)
from recsys.shop.simulator import Shop
from recsys.shop.world import PRODUCT_FEATURES, USER_FEATURES, ShopConfig
from strategies import modest, refuses, small_shop

OBSERVABLE = (
    Identifiers,
    ObservedFeatures,
    JointFeatures,
    CodedFeatures,
    CrossedFeatures,
    SharedUserFeatures,
)
ALL = (*OBSERVABLE, Truth)


def expected_row(
    kind: type[Featurizer], shop: Shop, user: int, product: int, t: int
) -> list[float]:
    """Return what one context row should hold, written out for one pair."""
    who, what = list(shop.users.features[user]), list(shop.products.features[product])
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (product + 1, 16))[product]
    return {
        CodedFeatures: [*who, *what, *(signs / 4.0)],
        CrossedFeatures: [*(u * v for u in who for v in what), *who, *(signs / 4.0)],
        Identifiers: [float(user), float(product)],
        ObservedFeatures: [float(product), *who],
        JointFeatures: [*who, *what],
        Truth: [float(shop.click_probability(user, product, t))],
        SharedUserFeatures: who,
    }[kind]


@pytest.mark.parametrize("kind", ALL)
def test_every_row_describes_its_own_visit_and_product(kind: type[Featurizer]):
    shop = small_shop(2, 15, 5, drift_amplitude=0.9, drift_period=300)
    shop.shock(at=60)
    visits = shop.visits(50, 20)
    contexts = kind(shop)(visits)
    for i in range(20):
        user, t = int(visits.users[i]), 50 + i
        if kind is SharedUserFeatures:
            assert contexts[i].tolist() == expected_row(kind, shop, user, 0, t)
        else:
            assert contexts.shape[:2] == (20, 5)
            for product in range(5):
                row = expected_row(kind, shop, user, product, t)
                assert contexts[i, product].tolist() == row


@modest
@given(
    kind=st.sampled_from(ALL),
    pairs=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 4)), min_size=1, max_size=8),
)
def test_training_rows_are_those_that_select_would_see(
    kind: type[Featurizer], pairs: list[tuple[int, int]]
):
    shop = small_shop(2, 15, 5)
    users, products = (np.array(column) for column in zip(*pairs, strict=True))
    rows = kind(shop).rows(users, products, np.zeros(len(pairs), dtype=np.int64))
    for i, (user, product) in enumerate(pairs):
        assert rows[i].tolist() == expected_row(kind, shop, user, product, 0)


@pytest.mark.parametrize("kind", ALL)
def test_a_single_visit_gives_contexts_without_the_leading_axis(kind: type[Featurizer]):
    shop = small_shop(2, 15, 5)
    one = kind(shop)(shop.visit(7))
    assert np.array_equal(one, kind(shop)(shop.visits(7, 1))[0])
    assert one.ndim == (1 if kind is SharedUserFeatures else 2)


@pytest.mark.parametrize("kind", ALL)
def test_contexts_have_a_row_for_products_that_enter_later(kind: type[Featurizer]):
    shop = small_shop(2, 15, 5)
    shop.churn(at=10, n_products=3, n_users=4)
    contexts = kind(shop)(shop.visits(0, 30))
    assert contexts.shape[0] == 30
    assert kind is SharedUserFeatures or contexts.shape[1] == 8


def test_codes_have_length_one_tell_products_apart_and_stay_when_others_enter():
    shop = Shop(ShopConfig(n_products=800), 3)
    t = np.array(0)
    codes = CodedFeatures(shop).rows(0, np.arange(800), t)[:, -CODE:]
    products = codes @ codes.T
    assert np.allclose(np.diag(products), 1.0)
    assert len(np.unique(codes, axis=0)) > 790  # 2^16 codes: a few pairs may meet
    others = products[~np.eye(800, dtype=bool)]
    assert abs(others.mean()) < 0.01
    assert abs(others.std() - 1 / np.sqrt(CODE)) < 0.01
    assert np.array_equal(
        CodedFeatures(small_shop()).rows(0, np.arange(12), t)[:, -CODE:], codes[:12]
    )


def test_rows_have_the_documented_columns_ids_first():
    shop = small_shop()
    m, d = len(USER_FEATURES), len(PRODUCT_FEATURES)
    columns = {
        Identifiers: ((60, 12), 0),
        ObservedFeatures: ((12,), m),
        JointFeatures: ((), m + d),
        CodedFeatures: ((), m + d + 16),
        CrossedFeatures: ((), m * d + m + 16),
        Truth: ((), 1),
        SharedUserFeatures: ((), m),
    }
    for kind, (sizes, n_features) in columns.items():
        featurizer = kind(shop)
        contexts = featurizer(shop.visits(0, 400)).reshape(-1, len(sizes) + n_features)
        assert (featurizer.vocabularies, featurizer.n_features) == (sizes, n_features)
        for column, size in zip(contexts.T, sizes, strict=False):
            assert set(column) <= set(range(size))


@pytest.mark.parametrize("kind", OBSERVABLE)
def test_contexts_do_not_change_with_what_is_hidden(kind: type[Featurizer]):
    shop = small_shop(3)
    visits = shop.visits(0, 50)
    before = kind(shop)(visits)
    shop.shock(at=0)  # moves tastes and click probabilities
    shop.products.quality[:] += 1.0
    shop.users.log_affinity[:] -= 1.0
    shop.users.price_sensitivity[:] += 1.0
    shop.users.persona[:] = 0
    shop.users.activity[:] = 1.0
    assert np.array_equal(kind(shop)(visits), before)


def test_only_the_oracles_row_follows_the_truth():
    shop = small_shop(3)
    shop.shock(at=10)
    users = np.arange(60)[:, None]
    old, new = (Truth(shop).rows(users, np.arange(12), np.array(t))[..., 0] for t in (9, 10))
    assert (old != new).any()
    assert np.array_equal(new, shop.click_probability(users, np.arange(12), 10))


@pytest.mark.parametrize("kind", ALL)
def test_a_featurizer_says_whether_its_rows_change_with_time(kind: type[Featurizer]):
    shop = small_shop(3, drift_amplitude=0.8, drift_period=300)
    shop.shock(at=10)
    rows = [kind(shop).rows(np.arange(60)[:, None], np.arange(12), np.array(t)) for t in (0, 90)]
    assert kind(shop).depends_on_time is not np.array_equal(*rows)


def test_the_click_probability_cannot_be_recovered_from_the_joint_features():
    # least squares on every product of a user and a product feature, fitted to the exact logits
    shop = Shop(seed=1)
    users, products = np.arange(1_000)[:, None], np.arange(50)
    mu = shop.click_probability(users, products)
    rows = JointFeatures(shop).rows(users, products, np.array(0))
    who, what = rows[..., : len(USER_FEATURES)], rows[..., len(USER_FEATURES) :]
    design = (who[..., :, None] * what[..., None, :]).reshape(50_000, -1)
    logit = np.log(mu / (1 - mu)).ravel()
    coefficients, *_ = np.linalg.lstsq(design, logit, rcond=None)
    explained = 1 - np.var(logit - design @ coefficients) / np.var(logit)
    assert 0.3 < explained < 0.9  # features help, but they do not tell


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("bad", [-1, 60, 1.5, True, np.nan])
def test_ids_that_name_nobody_are_refused(kind: type[Featurizer], bad: object):
    shop = small_shop()
    t = np.zeros(1, dtype=np.int64)
    with refuses("users", shop):
        kind(shop).rows(np.array([bad]), t, t)
    with refuses("products", shop):
        kind(shop).rows(t, np.array([bad]), t)
