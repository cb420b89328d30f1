from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from recsys.shop.world import (
    CATEGORIES,
    PERSONAS,
    PRICE_TIERS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    Products,
    ShopConfig,
    Users,
    draw_products,
    draw_users,
    exposure,
    join,
    top_category,
)
from strategies import few, modest, refuses

N = 20_000
CONFIG = ShopConfig()


@pytest.fixture(scope="module")
def users() -> Users:
    return draw_users(N, CONFIG, np.random.default_rng(1))


@pytest.fixture(scope="module")
def products() -> Products:
    return draw_products(N, CONFIG, np.random.default_rng(2))


# ---------------------------------------------------------------------- constants


def test_personas_are_a_partition_with_a_liking_for_every_category():
    assert sum(p.share for p in PERSONAS) == pytest.approx(1.0, abs=1e-12)
    assert len({p.name for p in PERSONAS}) == len(PERSONAS)
    for persona in PERSONAS:
        assert len(persona.affinity) == len(CATEGORIES)
        assert min(persona.affinity) > 0
        assert 0 < persona.mobile < 1


@pytest.mark.parametrize("field", [f.name for f in fields(ShopConfig)])
@pytest.mark.parametrize("value", [None, "1", True, np.nan, np.inf, -np.inf, -31.0, -31, 1e9])
def test_a_constant_outside_its_range_is_refused_by_name(field: str, value: object):
    with refuses(field):
        ShopConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_users", 0),
        ("n_users", 10.0),
        ("n_products", 1),
        ("drift_period", 1),
        ("log_exploration", 1.0001),
        ("log_exploration", -0.0001),
        ("quality_spread", -0.0001),
        ("individual_spread", -0.0001),
        ("basket_noise", -0.0001),
        ("zipf_exponent", -0.0001),
        ("category_boost", -0.0001),
        ("drift_amplitude", -0.0001),
        ("purchases_per_year", -0.0001),
    ],
)
def test_a_constant_just_outside_its_range_is_refused_by_name(field: str, value: float):
    with refuses(field):
        ShopConfig(**{field: value})


def test_an_unknown_constant_is_refused_and_a_config_is_frozen():
    with pytest.raises(TypeError, match="click_rate"):
        ShopConfig(click_rate=0.1)
    with pytest.raises(FrozenInstanceError):
        CONFIG.n_users = 3
    with refuses("n_users"):
        replace(CONFIG, n_users=-1)


# ---------------------------------------------------------------------- users


def test_personas_come_in_their_shares(users: Users):
    observed = np.bincount(users.persona, minlength=len(PERSONAS))
    expected = N * np.array([p.share for p in PERSONAS])
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_individuals_vary_around_their_persona_by_the_stated_spread(users: Users):
    for k, persona in enumerate(PERSONAS):
        mine = users.log_affinity[users.persona == k]
        error = CONFIG.individual_spread / np.sqrt(len(mine))
        assert np.abs(mine.mean(axis=0) - np.log(persona.affinity)).max() < 4.5 * error
        ratio = mine.var(axis=0, ddof=1) / CONFIG.individual_spread**2
        assert np.abs(ratio - 1).max() < 4.5 * np.sqrt(2 / len(mine))
        taste = users.price_sensitivity[users.persona == k]
        assert abs(taste.mean() - persona.price_sensitivity) < 4.5 * 0.3 / np.sqrt(len(taste))


def test_no_spread_makes_everybody_of_a_persona_alike():
    crowd = draw_users(500, ShopConfig(individual_spread=0.0), np.random.default_rng(0))
    for k, persona in enumerate(PERSONAS):
        mine = crowd.log_affinity[crowd.persona == k]
        assert np.allclose(np.exp(mine), persona.affinity, rtol=1e-12)


def test_purchase_counts_are_whole_and_poisson_in_liking_and_tenure(users: Users):
    counts = np.expm1(2 * users.features[:, 1:6])
    assert np.allclose(counts, np.round(counts), atol=1e-9)
    liking = np.exp(users.log_affinity)
    share = liking / liking.sum(axis=1, keepdims=True)
    years = 4 * users.features[:, USER_FEATURES.index("tenure")]
    mean = CONFIG.purchases_per_year * (0.25 + years[:, None]) * share
    for c in range(len(CATEGORIES)):
        assert abs(counts[:, c].sum() - mean[:, c].sum()) < 4.5 * np.sqrt(mean[:, c].sum())
    dispersion = ((counts - mean) ** 2 / mean).mean(axis=0)  # 1 for a Poisson variable
    error = np.sqrt((2 + 1 / mean).mean(axis=0) / N)
    assert (np.abs(dispersion - 1) < 4.5 * error).all()


def test_the_basket_falls_with_price_sensitivity_and_is_noisy(users: Users):
    basket = users.features[:, USER_FEATURES.index("basket")]
    fit = stats.linregress(users.price_sensitivity, basket)
    assert abs(fit.slope + 0.25) < 4.5 * fit.stderr
    assert abs(fit.intercept - 0.5) < 4.5 * fit.intercept_stderr
    residual = basket - 0.5 + 0.25 * users.price_sensitivity
    assert residual.std() == pytest.approx(CONFIG.basket_noise, rel=4.5 / np.sqrt(2 * N))


def test_the_device_is_drawn_with_the_personas_probability(users: Users):
    mobile = users.features[:, USER_FEATURES.index("mobile")]
    assert set(np.unique(mobile)) == {0.0, 1.0}
    for k, persona in enumerate(PERSONAS):
        mine = mobile[users.persona == k]
        assert stats.binomtest(int(mine.sum()), len(mine), persona.mobile).pvalue > 1e-4


def test_user_features_have_the_named_columns_and_a_constant(users: Users):
    assert users.features.shape == (N, len(USER_FEATURES))
    assert (users.features[:, USER_FEATURES.index("constant")] == 1.0).all()
    assert np.isfinite(users.features).all()
    assert (users.activity > 0).all()


def test_every_personas_mean_feature_vector_is_distinct_and_nonzero(users: Users):
    observed = users.features[:, 1:]  # the constant would make any vector non-zero
    means, errors = [], []
    for k in range(len(PERSONAS)):
        mine = observed[users.persona == k]
        means.append(mine.mean(axis=0))
        errors.append(mine.std(axis=0, ddof=1) / np.sqrt(len(mine)))
    for k in range(len(PERSONAS)):
        for c, category in enumerate(CATEGORIES):
            assert means[k][c] > 4 * errors[k][c], f"{PERSONAS[k].name} never buys {category}"
        for other in range(k):
            gap = np.abs(means[k] - means[other]) / np.hypot(errors[k], errors[other])
            assert gap.max() > 10, f"{PERSONAS[k].name} looks like {PERSONAS[other].name}"


def test_features_hint_at_the_persona_but_do_not_give_it_away(users: Users):
    scaled = users.features[:, 1:] / users.features[:, 1:].std(axis=0)
    train, test = slice(0, 6_000), slice(6_000, N)
    model = LogisticRegression(max_iter=300).fit(scaled[train], users.persona[train])
    hit = model.predict(scaled[test]) == users.persona[test]
    assert 0.5 < hit.mean() < 0.9  # the largest share is 0.24
    tenure = users.features[test, USER_FEATURES.index("tenure")] * 4
    assert hit[tenure < 0.25].mean() < hit[tenure > 3].mean() - 0.2  # new customers say little


def test_no_feature_is_a_function_of_a_hidden_trait(users: Users):
    hidden = np.column_stack([users.log_affinity, users.price_sensitivity, users.activity])
    observed = users.features[:, 1:]
    rank = stats.spearmanr(observed[:5_000], hidden[:5_000]).statistic
    assert np.abs(rank[: observed.shape[1], observed.shape[1] :]).max() < 0.9
    for column in observed.T:  # no value marks one persona alone
        values, group, size = np.unique(column, return_inverse=True, return_counts=True)
        table = np.zeros((len(values), len(PERSONAS)))
        np.add.at(table, (group, users.persona), 1)
        assert ((table > 0).sum(axis=1)[size >= 200] > 1).all()


def test_the_same_person_is_observed_differently_by_chance():
    config = ShopConfig(individual_spread=0.0)
    crowd = draw_users(400, config, np.random.default_rng(0))
    twins = crowd.features[crowd.persona == 0][:, 1:7]
    assert (twins.std(axis=0) > 0.05).all()


# ---------------------------------------------------------------------- products


def test_product_features_show_category_and_price_and_nothing_else(products: Products):
    assert products.features.shape == (N, len(PRODUCT_FEATURES))
    assert (products.features[:, :5].sum(axis=1) == 1.0).all()
    assert (products.features[np.arange(N), products.category] == 1.0).all()
    assert (products.features[:, 5] == products.price).all()
    kinds = len(CATEGORIES) * len(PRICE_TIERS)
    assert len(np.unique(products.features, axis=0)) == kinds  # so 15 rows carry 20,000 qualities


def test_quality_cannot_be_read_from_product_features(products: Products):
    design = np.column_stack([np.ones(N), products.features[:, 1:]])
    _, residual, *_ = np.linalg.lstsq(design, products.quality, rcond=None)
    explained = 1 - residual[0] / ((products.quality - products.quality.mean()) ** 2).sum()
    # under independence N R^2 is chi-square with 5 degrees of freedom
    assert stats.chi2.sf(N * explained, df=design.shape[1] - 1) > 1e-4
    assert abs(products.quality.mean()) < 4.5 * CONFIG.quality_spread / np.sqrt(N)
    assert products.quality.std() == pytest.approx(CONFIG.quality_spread, rel=0.03)


def test_half_of_past_popularity_is_luck(products: Products):
    r = np.corrcoef(products.quality, products.popularity)[0, 1]
    assert abs(r**2 - 0.5) < 0.02
    assert abs(np.polyfit(products.quality, products.popularity, 1)[0] - 1) < 0.05


def test_categories_and_price_levels_come_in_their_shares(products: Products):
    counts = np.bincount(products.category, minlength=5)
    assert stats.chisquare(counts, N * np.array([0.28, 0.28, 0.16, 0.12, 0.16])).pvalue > 1e-3
    levels, counts = np.unique(products.price, return_counts=True)
    assert levels.tolist() == [0.0, 0.5, 1.0]
    assert stats.chisquare(counts, N * np.array([0.35, 0.40, 0.25])).pvalue > 1e-3


@few
@given(sizes=st.tuples(st.integers(0, 5), st.integers(0, 5)), seed=st.integers(0, 99))
def test_newcomers_are_appended_and_nobody_is_renumbered(sizes: tuple[int, int], seed: int):
    for draw in (draw_users, draw_products):
        first, second = (draw(n, CONFIG, np.random.default_rng((seed, n))) for n in sizes)
        both = join(first, second)
        assert type(both) is type(first)
        for f in fields(both):
            column = getattr(both, f.name)
            assert len(column) == sum(sizes)
            assert np.array_equal(column[: sizes[0]], getattr(first, f.name))
            assert np.array_equal(column[sizes[0] :], getattr(second, f.name))


# ---------------------------------------------------------------------- yesterday's policy


def test_the_top_category_is_the_one_bought_most(users: Users):
    counts = np.expm1(2 * users.features[:, 1:6])
    found = top_category(users, np.arange(300))
    for user in range(300):
        best = max(range(5), key=lambda c, u=user: counts[u, c])
        assert counts[user, found[user]] == counts[user, best]
    assert top_category(users, np.array([[3], [4]])).shape == (2, 1)


def exposure_by_hand(
    shop_products: Products, entry: list[int], on_sale: list[bool], config: ShopConfig
) -> list[list[float]]:
    """Return yesterday's propensities product by product, from the words of the docstring."""
    n = len(entry)
    shelf = sorted(range(n), key=lambda i: (entry[i], -shop_products.popularity[i]))
    rank = {product: place + 1 for place, product in enumerate(shelf)}
    table = []
    for c in range(len(CATEGORIES)):
        weight = []
        for i in range(n):
            boost = 1 + config.category_boost if shop_products.category[i] == c else 1.0
            weight.append(boost / rank[i] ** config.zipf_exponent if on_sale[i] else 0.0)
        share = config.log_exploration
        table.append(
            [
                (1 - share) * w / sum(weight) + (share / sum(on_sale) if offered else 0.0)
                for w, offered in zip(weight, on_sale, strict=True)
            ]
        )
    return table


@modest
@given(
    data=st.data(),
    n=st.integers(2, 12),
    zipf=st.floats(0, 3),
    boost=st.floats(0, 10),
    explore=st.floats(0, 1),
)
def test_yesterdays_exposure_is_the_stated_mixture(
    data: st.DataObject, n: int, zipf: float, boost: float, explore: float
):
    config = ShopConfig(zipf_exponent=zipf, category_boost=boost, log_exploration=explore)
    shelf = draw_products(n, config, np.random.default_rng(data.draw(st.integers(0, 50))))
    entry = data.draw(st.lists(st.sampled_from([0, 5, 9]), min_size=n, max_size=n))
    on_sale = data.draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(any))
    table = exposure(shelf, np.array(entry), np.array(on_sale), config)
    assert np.allclose(table, exposure_by_hand(shelf, entry, on_sale, config), atol=1e-14)
    assert np.allclose(table.sum(axis=1), 1.0, atol=1e-12)
    assert (table[:, ~np.array(on_sale)] == 0).all()
    assert (table[:, on_sale] >= explore / sum(on_sale) - 1e-15).all()
