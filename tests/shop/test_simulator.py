import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.shop import simulator
from recsys.shop.simulator import HORIZON, Shop
from recsys.shop.streams import STRETCH
from recsys.shop.world import CATEGORIES, PERSONAS, ShopConfig
from strategies import few, modest, refuses, small_shop, snapshot, z_score

AFFECTED = ("puppy parent", "budget shopper", "many-pet household")  # of the default shock
FAVOURITE = {p.name: max(range(5), key=lambda c, a=p.affinity: a[c]) for p in PERSONAS}
FISH = CATEGORIES.index("fish")


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def probability_by_hand(
    shop: Shop, user: int, product: int, t: int, shocks: list[tuple[int, float, int, tuple]]
) -> float:
    """Return the click probability from the model's equation, for one user, product and round."""
    category = int(shop.products.category[product])
    persona = PERSONAS[shop.users.persona[user]]
    liking = [math.exp(a) for a in shop.users.log_affinity[user]]
    for at, strength, target, names in sorted(shocks, key=lambda shock: shock[0]):
        if t >= at and persona.name in names:
            best = FAVOURITE[persona.name]
            old, new = liking[best], liking[target]
            liking[best] = old ** (1 - strength) * new**strength
            liking[target] = new ** (1 - strength) * old**strength
    phase = shop._phase[shop.users.persona[user], category]
    swing = math.sin(2 * math.pi * t / shop.config.drift_period + phase) - math.sin(phase)
    a = liking[category] * math.exp(shop.config.drift_amplitude * swing)
    return logistic(
        shop.config.base_logit
        + shop.config.affinity_weight * a / (1 + a)
        + shop.products.quality[product]
        - shop.users.price_sensitivity[user] * shop.products.price[product]
    )


def everything(shop: Shop, t: int) -> np.ndarray:
    """Return the click probabilities (n_users, n_products) at round ``t``."""
    users = np.arange(shop.n_users)[:, None]
    return shop.click_probability(users, np.arange(shop.n_products), t)


def of_personas(shop: Shop, names: tuple[str, ...]) -> np.ndarray:
    """Return the mask of the users whose persona is one of ``names``."""
    return np.isin([PERSONAS[k].name for k in shop.users.persona], names)


# ---------------------------------------------------------------------- the click model


SHOCKS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.floats(0, 1),
        st.integers(0, 4),
        st.lists(st.sampled_from([p.name for p in PERSONAS]), max_size=3, unique=True).map(tuple),
    ),
    max_size=3,
)


@modest
@given(
    data=st.data(),
    seed=st.integers(0, 20),
    shocks=SHOCKS,
    amplitude=st.sampled_from([0.0, 0.7]),
    period=st.integers(2, 60),
)
def test_click_probabilities_follow_the_stated_model(
    data: st.DataObject, seed: int, shocks: list, amplitude: float, period: int
):
    shop = small_shop(seed, 20, 6, drift_amplitude=amplitude, drift_period=period)
    for at, strength, target, names in shocks:  # in any order of their rounds
        shop.shock(at, strength, CATEGORIES[target], names)
    for _ in range(5):
        user, product = data.draw(st.integers(0, 19)), data.draw(st.integers(0, 5))
        t = data.draw(st.integers(0, 50))
        expected = probability_by_hand(shop, user, product, t, shocks)
        assert shop.click_probability(user, product, t) == pytest.approx(expected, rel=1e-10)


def test_click_probabilities_broadcast_and_default_to_the_present():
    shop = small_shop(drift_amplitude=0.8, drift_period=100)
    users, products, rounds = np.arange(4)[:, None, None], np.arange(3)[:, None], np.arange(5)
    table = shop.click_probability(users, products, rounds)
    assert table.shape == (4, 3, 5)
    for u, p, t in np.ndindex(4, 3, 5):
        assert table[u, p, t] == shop.click_probability(u, p, t)
    shop.visit(37)
    assert shop.click_probability(3, 2) == shop.click_probability(3, 2, 37)
    assert shop.click_probability(3, 2) != shop.click_probability(3, 2, 0)


def test_clicks_agree_with_their_probabilities_overall_and_in_every_decile():
    shop = Shop(seed=17)
    log = shop.log(200_000)
    mu = shop.click_probability(log.users, log.products, log.rounds)
    assert abs(z_score(log.clicks, mu)) < 3.5
    deciles = np.array_split(np.argsort(mu), 10)
    assert all(abs(z_score(log.clicks[d], mu[d])) < 4 for d in deciles)
    assert mu[deciles[-1]].mean() > 5 * mu[deciles[0]].mean()  # the deciles do differ
    assert set(np.unique(log.clicks)) == {0.0, 1.0}


def test_clicks_agree_with_their_probabilities_while_the_world_changes():
    shop = Shop(ShopConfig(drift_amplitude=0.8, drift_period=30_000), seed=3)
    shop.shock(at=20_000)
    shop.churn(at=40_000, n_products=20, n_users=500)
    log = shop.log(100_000)
    mu = shop.click_probability(log.users, log.products, log.rounds)
    for part in np.array_split(np.arange(100_000), 10):
        assert abs(z_score(log.clicks[part], mu[part])) < 4
    for part in np.array_split(np.argsort(mu), 10):
        assert abs(z_score(log.clicks[part], mu[part])) < 4


def test_a_click_does_not_depend_on_how_it_came_to_be_shown():
    shop = Shop(seed=5)
    log = shop.log(100_000)
    mu = shop.click_probability(log.users, log.products, log.rounds)
    for rare in (log.propensities < 0.01, log.propensities > 0.2):  # separate streams of uniforms
        assert abs(z_score(log.clicks[rare], mu[rare])) < 4


@pytest.mark.parametrize("seed", range(3))
def test_click_rates_are_believable(seed: int):
    shop = Shop(seed=seed)
    visits = shop.visits(0, 10_000)
    mu = shop.click_probability(visits.users[:, None], np.arange(shop.n_products))
    assert 0.01 < mu.mean() < 0.10  # a random policy
    assert mu.mean() < mu.max(axis=1).mean() < 0.35  # the oracle
    assert mu.min() > 0
    assert mu.max() < 1


def test_personalisation_pays_because_no_product_is_best_for_everybody():
    shop = Shop(seed=0)
    mu = everything(shop, 0)
    assert mu.max(axis=1).mean() > 1.5 * mu.mean(axis=0).max()
    assert len(np.unique(mu.argmax(axis=1))) >= 5


def test_equal_features_may_hide_different_click_probabilities():
    shop = Shop(seed=0)
    kinds = {}
    for product, row in enumerate(shop.products.features):
        kinds.setdefault(tuple(row), []).append(product)
    twins = max(kinds.values(), key=len)
    assert len(twins) >= 2
    mu = shop.click_probability(0, np.array(twins))
    assert mu.max() > 1.1 * mu.min()


# ---------------------------------------------------------------------- visits


@modest
@given(
    block=st.integers(0, 2),
    offset=st.integers(-4, 4),
    n=st.integers(1, 9),
    order=st.randoms(use_true_random=False),
)
def test_a_visit_is_the_same_alone_in_a_range_and_in_any_order(
    block: int, offset: int, n: int, order: object
):
    start = max(0, block * STRETCH + offset)
    together = small_shop(4).visits(start, n)
    assert together.rounds.tolist() == list(range(start, start + n))
    shop = small_shop(4)
    rounds = list(range(n))
    order.shuffle(rounds)
    for i in rounds:
        one = shop.visit(start + i)
        assert (one.rounds, one.users, one.uniforms) == (
            start + i,
            together.users[i],
            together.uniforms[i],
        )
        assert np.ndim(one.users) == 0


def test_users_visit_in_proportion_to_their_activity():
    shop = small_shop(2, n_users=25)
    seen = np.bincount(shop.visits(0, 60_000).users, minlength=25)
    expected = 60_000 * shop.users.activity / shop.users.activity.sum()
    assert stats.chisquare(seen, expected).pvalue > 1e-3


def test_visits_come_with_their_stated_probabilities_before_and_after_newcomers():
    shop = small_shop(2, n_users=12)
    shop.churn(at=20_000, n_users=6)
    users = shop.visits(0, 60_000).users
    for part, t in ((users[:20_000], 0), (users[20_000:], 20_000)):
        stated = shop.visit_probabilities(t)
        assert stated.shape == (18,)
        assert stated.sum() == pytest.approx(1.0, abs=1e-12)
        there = stated > 0
        assert np.array_equal(there, shop.present_users(t))
        seen = np.bincount(part, minlength=18)
        assert seen[~there].sum() == 0
        assert stats.chisquare(seen[there], len(part) * stated[there]).pvalue > 1e-3


def test_visitors_are_independent_of_the_click_uniforms():
    visits = small_shop(1).visits(0, 40_000)
    r = stats.spearmanr(visits.users, visits.uniforms).statistic
    assert abs(r) * np.sqrt(40_000) < 4.5
    assert stats.kstest(visits.uniforms, "uniform").pvalue > 1e-4


def test_the_same_product_for_the_same_visit_gives_the_same_click():
    shop = small_shop(3, base_logit=-1.0)
    visits = shop.visits(100, 500)
    one = shop.clicks(visits, np.arange(500) % 12)
    for product in range(12):
        constant = shop.clicks(visits, product)
        rows = np.arange(500) % 12 == product
        assert np.array_equal(one[rows], constant[rows])
    assert 0 < one.mean() < 1
    better = shop.click_probability(visits.users, 1, visits.rounds) >= shop.click_probability(
        visits.users, 0, visits.rounds
    )
    gain = shop.clicks(visits, 1) - shop.clicks(visits, 0)
    assert (gain[better] >= 0).all()  # one uniform decides, so a better product never loses a click
    assert (gain[~better] <= 0).all()


# ---------------------------------------------------------------------- separate streams, seeds


def test_equal_seeds_give_equal_shops_and_other_seeds_give_others():
    def history(seed: int) -> object:
        shop = small_shop(seed)
        shop.shock(50)
        shop.churn(100, n_products=3, n_users=5)
        return snapshot((shop.log(300), shop.users, shop.products, shop.policy_rng("x").random(3)))

    assert history(8) == history(8)
    assert history(8) != history(9)


def test_the_number_of_products_changes_neither_users_nor_visits():
    few_, many = small_shop(6, n_products=5), small_shop(6, n_products=40)
    assert snapshot(few_.users) == snapshot(many.users)
    assert snapshot(few_.visits(0, 3_000)) == snapshot(many.visits(0, 3_000))


def test_the_number_of_users_changes_neither_products_nor_uniforms():
    few_, many = small_shop(6, n_users=10), small_shop(6, n_users=300)
    assert snapshot(few_.products) == snapshot(many.products)
    assert np.array_equal(few_.visits(0, 900).uniforms, many.visits(0, 900).uniforms)
    assert np.array_equal(few_._phase, many._phase)


def test_the_logging_policy_changes_nothing_but_what_is_shown():
    greedy, uniform = small_shop(6), small_shop(6, log_exploration=1.0)
    one, other = greedy.log(2_000), uniform.log(2_000)
    assert np.array_equal(one.users, other.users)
    same = one.products == other.products
    assert 0 < same.sum() < 2_000
    assert np.array_equal(one.clicks[same], other.clicks[same])


def test_one_log_is_the_same_as_two_in_a_row():
    shop, other = small_shop(7), small_shop(7)
    for s in (shop, other):
        s.shock(STRETCH - 20)
        s.churn(STRETCH + 30, n_products=4, n_users=4)
    whole = shop.log(STRETCH + 100)
    parts = other.log(STRETCH - 7) + other.log(60) + other.log(47)
    assert snapshot(whole) == snapshot(parts)


# ---------------------------------------------------------------------- the log


@pytest.mark.speed
def test_a_log_of_200_000_impressions_takes_at_most_half_a_second():
    shop = Shop(seed=0)
    shop.log(1)
    best = math.inf
    for _ in range(3):
        began = time.perf_counter()
        shop.log(200_000)
        best = min(best, time.perf_counter() - began)
    assert best <= 0.5


def test_recorded_propensities_are_those_of_the_product_shown():
    shop = small_shop(5)
    shop.churn(at=700, n_products=5, n_users=20)
    log = shop.log(1_500)
    for t in range(0, 1_500, 7):
        shop.visit(t)  # sets the clock, so that the table is that of the round
        table = shop.logging_propensities(log.users[t])
        assert table.sum() == pytest.approx(1.0, abs=1e-12)
        assert table[log.products[t]] == log.propensities[t]


def test_products_are_shown_as_often_as_their_propensities_say():
    shop = Shop(ShopConfig(n_users=200, n_products=25), seed=12)
    n = 150_000
    table = shop.logging_propensities(np.arange(200))
    assert np.allclose(table.sum(axis=1), 1.0, atol=1e-12)
    log = shop.log(n)
    top = np.argmax(shop.users.features[:, 1:6], axis=1)
    tested = 0
    for c in range(len(CATEGORIES)):
        rows = top[log.users] == c
        if not rows.any():
            continue
        expected = rows.sum() * table[np.flatnonzero(top == c)[0]]
        shown = np.bincount(log.products[rows], minlength=25)
        assert stats.chisquare(shown, expected).pvalue > 1e-3
        tested += 1
    assert tested >= 3


def test_propensities_use_observed_features_only():
    shop = Shop(seed=1)
    top = np.argmax(shop.users.features[:, 1:6], axis=1)
    table = shop.logging_propensities(np.arange(shop.n_users))
    for c in range(len(CATEGORIES)):
        group = table[top == c]
        assert (group == group[0]).all()
        assert (
            group[0][shop.products.category == c].sum()
            > table[top != c][0, shop.products.category == c].sum()
        )


def test_exposure_is_unequal_in_the_order_of_past_popularity():
    shop = Shop(ShopConfig(category_boost=0.0), seed=4)
    table = shop.logging_propensities(0)
    assert np.array_equal(np.argsort(-table), np.argsort(-shop.products.popularity))
    assert table.max() > 20 * table.min()


def test_importance_weights_average_to_one():
    log = Shop(seed=9).log(100_000)
    weight = 1 / (50 * log.propensities)
    error = weight.std(ddof=1) / np.sqrt(len(log))
    assert abs(weight.mean() - 1) < 4 * error


# ---------------------------------------------------------------------- the clock


def test_the_clock_moves_by_visit_and_log_only():
    shop = small_shop()
    shop.log(30)
    assert shop.now == 30
    shop.visits(500, 20)
    shop.available(900)
    shop.present_users(900)
    shop.click_probability(0, 0, 900)
    shop.clicks(shop.visits(60, 3), 1)
    shop.stable_parts(np.arange(10))
    shop.logging_propensities([0])
    shop.shock(200)
    shop.churn(300, 1, 1)
    shop.policy_rng("x").random()
    assert shop.now == 30
    shop.visit(44)
    assert shop.now == 44
    assert shop.log(6).rounds.tolist() == list(range(44, 50))
    assert shop.now == 50


# ---------------------------------------------------------------------- shock


@pytest.mark.parametrize("drift", [0.0, 0.7])
@pytest.mark.parametrize("largest", [2**18, 10])
def test_all_probabilities_of_visits_are_those_of_their_products(
    drift: float, largest: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(simulator, "LARGE_TABLE", largest)  # with a table, and without one
    shop = Shop(ShopConfig(n_users=30, n_products=9, drift_amplitude=drift), seed=3)

    def both() -> tuple[np.ndarray, np.ndarray]:
        visits = shop.visits(0, 200)
        users, rounds = visits.users[:, None], visits.rounds[:, None]
        products = np.arange(shop.n_products)
        return shop.click_probabilities(visits), shop.click_probability(users, products, rounds)

    before = both()
    assert np.array_equal(*before)
    shop.shock(at=120, strength=0.5)
    shop.shock(at=60, towards="bird")  # announced later, comes earlier
    after = both()
    assert np.array_equal(*after)
    assert not np.array_equal(before[0][60:], after[0][60:])
    shop.churn(at=150, n_products=2, n_users=5)
    assert np.array_equal(*both())
    assert both()[0].shape == (200, 11)


def test_nothing_changes_before_the_round_of_the_shock_and_it_starts_with_it():
    shop, calm = small_shop(1), small_shop(1)
    shop.shock(at=100)
    assert np.array_equal(everything(shop, 99), everything(calm, 99))
    assert np.array_equal(everything(shop, 0), everything(calm, 0))
    assert not np.array_equal(everything(shop, 100), everything(calm, 100))
    assert np.array_equal(everything(shop, 100), everything(shop, 10_000))
    assert snapshot(shop.log(100)) == snapshot(calm.log(100))


def test_a_shock_of_strength_zero_changes_nothing():
    shop, calm = small_shop(2), small_shop(2)
    shop.shock(at=10, strength=0.0)
    assert np.array_equal(everything(shop, 10), everything(calm, 10))


def test_a_shock_of_strength_one_swaps_favourite_and_target_exactly():
    # equal products in every category, so that a swap of likings is a swap of probabilities
    shop = small_shop(3, n_users=200, n_products=60, quality_spread=0.0)
    shop.shock(at=10, strength=1.0)
    before, after = everything(shop, 9), everything(shop, 10)
    cheap = [
        np.flatnonzero((shop.products.category == c) & (shop.products.price == 0))[0]
        for c in range(5)
    ]
    for name in AFFECTED:
        users = of_personas(shop, (name,))
        best, target = cheap[FAVOURITE[name]], cheap[FISH]
        assert np.array_equal(after[users, target], before[users, best])
        assert np.array_equal(after[users, best], before[users, target])
        for c in set(range(5)) - {FAVOURITE[name], FISH}:
            assert np.array_equal(after[users][:, cheap[c]], before[users][:, cheap[c]])


def test_a_shock_leaves_the_other_personas_and_all_features_alone():
    shop, calm = small_shop(4, n_users=200), small_shop(4, n_users=200)
    shop.shock(at=10)
    hit = of_personas(shop, AFFECTED)
    assert 0 < hit.sum() < 200
    assert np.array_equal(everything(shop, 10)[~hit], everything(calm, 10)[~hit])
    assert (everything(shop, 10)[hit] != everything(calm, 10)[hit]).any(axis=1).all()
    assert snapshot((shop.users, shop.products)) == snapshot((calm.users, calm.products))


@pytest.mark.parametrize("constants", [{}, {"drift_amplitude": 0.8, "drift_period": 90}])
def test_log_affinities_are_those_of_the_click_probabilities(constants: dict):
    shop = small_shop(**constants)
    shop.shock(20, 0.7)
    shop.churn(30, 2, 9)
    config, products = shop.config, shop.products
    for t in (0, 19, 20, 35):
        found = shop.log_affinity(t)
        assert found.shape == (shop.n_users, len(CATEGORIES))
        liking = np.exp(found)[:, products.category]
        price = shop.users.price_sensitivity[:, None] * products.price
        logit = config.base_logit + config.affinity_weight * liking / (1 + liking)
        mu = 1 / (1 + np.exp(-(logit + products.quality - price)))
        assert np.allclose(everything(shop, t), mu, rtol=1e-12)


def test_log_affinities_change_with_the_trend_and_are_a_copy():
    shop = small_shop()
    shop.shock(at=1)
    before, after = shop.log_affinity(0), shop.log_affinity(1)
    assert np.array_equal(before, shop.users.log_affinity)
    assert np.array_equal(after, shop.log_affinity(10**6))
    moved = (before != after).any(axis=1)
    assert (moved == of_personas(shop, AFFECTED)).all()
    assert np.allclose(np.sort(before), np.sort(after))  # two of them change places
    after += 1.0
    assert not np.array_equal(after, shop.log_affinity(1))


@pytest.mark.parametrize("round_", [-1, 0.5, None, True, HORIZON])
def test_log_affinities_of_no_round_are_refused(round_: object):
    shop = small_shop()
    with refuses("round_", shop):
        shop.log_affinity(round_)


def test_two_shocks_of_full_strength_undo_each_other():
    shop, calm = small_shop(5), small_shop(5)
    shop.shock(at=20)
    shop.shock(at=50)
    assert not np.array_equal(everything(shop, 49), everything(calm, 49))
    assert np.array_equal(everything(shop, 50), everything(calm, 50))


def test_shocks_act_in_the_order_of_their_rounds_however_they_were_announced():
    one, other = small_shop(6), small_shop(6)
    one.shock(at=20, towards="bird")
    one.shock(at=50, towards="fish", strength=0.4)
    other.shock(at=50, towards="fish", strength=0.4)
    other.shock(at=20, towards="bird")
    for t in (19, 20, 49, 50):
        assert np.array_equal(everything(one, t), everything(other, t))


def test_a_shock_lowers_what_the_old_favourites_earn():
    shop = Shop(seed=0)
    shop.shock(at=10)
    users = np.flatnonzero(of_personas(shop, ("puppy parent",)))[:, None]
    dogs = np.flatnonzero(shop.products.category == CATEGORIES.index("dog"))
    before, after = (shop.click_probability(users, dogs, t).mean() for t in (9, 10))
    assert after < 0.5 * before


def test_newcomers_of_an_affected_persona_follow_the_trend_too():
    shop = small_shop(7)
    shop.shock(at=10)
    shop.churn(at=20, n_users=100)
    new = np.arange(shop.n_users) >= 60
    hit = of_personas(shop, AFFECTED)
    changed = (everything(shop, 20) != everything(shop, 0)).any(axis=1)
    assert np.array_equal(changed[new], hit[new])


# ---------------------------------------------------------------------- drift


def test_drift_is_zero_at_the_start_periodic_and_not_constant():
    shop, calm = small_shop(1, drift_amplitude=0.9, drift_period=400), small_shop(1)
    assert np.array_equal(everything(shop, 0), everything(calm, 0))
    assert not np.allclose(everything(shop, 100), everything(calm, 100), rtol=0.01)
    for t in (0, 37, 200):
        assert np.allclose(everything(shop, t), everything(shop, t + 400), rtol=1e-9)
        assert np.allclose(everything(shop, t), everything(shop, t + 4_000), rtol=1e-9)
    assert not np.allclose(everything(shop, 100), everything(shop, 300), rtol=0.01)


def test_drift_is_gradual():
    shop = small_shop(1, drift_amplitude=0.9, drift_period=1_000)
    logit = [np.log(m / (1 - m)) for m in (everything(shop, t) for t in (10, 11))]
    # |d/dt| <= w * max slope of the saturation * amplitude * 2 pi / period
    assert np.abs(logit[1] - logit[0]).max() <= 3.5 * 0.25 * 0.9 * 2 * np.pi / 1_000 + 1e-12


# ---------------------------------------------------------------------- churn


@few
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=4
    )
)
def test_as_many_products_leave_as_enter_and_ids_are_never_reused(steps: list[tuple]):
    shop, steps = small_shop(2, n_users=10), sorted(steps)
    for at, n_products, n_users in steps:
        shop.churn(at, n_products, n_users)
    assert shop.n_products == 12 + sum(step[1] for step in steps)
    assert shop.n_users == 10 + sum(step[2] for step in steps)
    mask = shop.available(np.arange(40))
    assert mask.shape == (40, shop.n_products)
    assert (mask.sum(axis=1) == 12).all()
    first = 12
    for at, n_products, _ in steps:  # who was announced at which step enters at its round
        newcomers = mask[:, first : first + n_products]
        assert not newcomers[:at].any()
        first += n_products
    steps_up = np.diff(mask.astype(int), axis=0)
    assert ((steps_up == 1).sum(axis=0) <= 1).all()  # nobody comes back


def test_churns_are_announced_in_order_of_time():
    shop = small_shop(2)
    shop.churn(at=50, n_products=2)
    with refuses("at", shop):
        shop.churn(at=49, n_products=1)
    shop.churn(at=50, n_products=1)


def test_products_enter_at_their_round_and_others_leave_at_it():
    shop = small_shop(2)
    shop.churn(at=50, n_products=4)
    before, after = shop.available(49), shop.available(50)
    assert before.tolist() == [True] * 12 + [False] * 4
    assert after[12:].all()
    assert after[:12].sum() == 8
    assert np.array_equal(shop.available([49, 50]), [before, after])


def test_a_churn_of_nobody_changes_nobody():
    shop, calm = small_shop(2), small_shop(2)
    shop.churn(at=5)
    assert (shop.n_products, shop.n_users) == (12, 60)
    assert snapshot(shop.log(50)) == snapshot(calm.log(50))


def test_every_churn_brings_its_own_newcomers():
    shop = small_shop(2)
    for at in (0, 50, 50, 50, 60):
        shop.churn(at, n_products=3, n_users=4)
    assert len(np.unique(shop.products.quality)) == shop.n_products
    assert len(np.unique(shop.users.activity)) == shop.n_users


def test_new_users_visit_only_after_their_entry_and_then_as_often_as_others():
    shop = small_shop(3, n_users=20)
    shop.churn(at=5_000, n_users=10)
    users = shop.visits(0, 45_000).users
    assert users[:5_000].max() < 20
    seen = np.bincount(users[5_000:], minlength=30)
    expected = 40_000 * shop.users.activity / shop.users.activity.sum()
    assert stats.chisquare(seen, expected).pvalue > 1e-3
    assert shop.present_users(4_999).sum() == 20
    assert shop.present_users(5_000).all()


def test_what_was_before_a_churn_or_shock_stays_as_it_was():
    calm, shop = small_shop(4), small_shop(4)
    old = calm.log(3_000)
    shop.shock(3_000)
    shop.churn(3_000, n_products=5, n_users=30)
    assert snapshot(shop.visits(0, 3_000)) == snapshot(calm.visits(0, 3_000))
    log = shop.log(3_000)
    assert np.array_equal(log.products, old.products)
    assert np.array_equal(log.clicks, old.clicks)
    # the same numbers, added up in a longer row
    assert np.allclose(log.propensities, old.propensities, rtol=1e-12, atol=0)


def test_a_churn_may_come_while_the_shop_is_running_and_leaves_the_past_alone():
    shop, calm = small_shop(4), small_shop(4)
    shop.log(1_000)
    shop.churn(1_000, n_products=5, n_users=30)
    assert snapshot(shop.visits(0, 1_000)) == snapshot(calm.visits(0, 1_000))
    assert np.array_equal(everything(shop, 500)[:60, :12], everything(calm, 500))
    with refuses("at", shop):
        shop.churn(999, n_products=1)
    with refuses("at", shop):
        shop.shock(999)


def test_products_off_sale_are_never_logged():
    shop = small_shop(5)
    shop.churn(at=2_000, n_products=6)
    shop.churn(at=4_000, n_products=6)
    log = shop.log(6_000)
    on_sale = shop.available(log.rounds)
    assert on_sale[np.arange(6_000), log.products].all()
    for part in (slice(0, 2_000), slice(2_000, 4_000), slice(4_000, 6_000)):
        shown = np.unique(log.products[part])
        assert np.array_equal(shown, np.flatnonzero(on_sale[part][0]))  # all that are on sale


@modest
@given(
    start=st.integers(0, 30),
    n=st.integers(1, 30),
    longest=st.none() | st.integers(1, 12),
    changes=st.lists(st.integers(0, 60), max_size=4),
)
def test_the_parts_of_a_range_cover_it_in_order_and_nothing_changes_within_one(
    start: int, n: int, longest: int | None, changes: list[int]
):
    shop = small_shop(2, n_users=10)
    for at in sorted(changes):
        shop.churn(at, n_products=1, n_users=1)
    rounds = np.arange(start, start + n)
    parts = shop.stable_parts(rounds) if longest is None else shop.stable_parts(rounds, longest)
    assert np.concatenate([rounds[part] for part in parts]).tolist() == rounds.tolist()
    for part in parts:
        inside = rounds[part]
        assert 1 <= len(inside) <= (longest or n)
        assert (shop.available(inside) == shop.available(int(inside[0]))).all()
        assert len({tuple(shop.present_users(int(t))) for t in inside}) == 1
    if longest is None:
        assert len(parts) == 1 + len({at for at in changes if start < at < start + n})


def test_newcomers_are_new_so_their_features_say_little():
    shop = Shop(seed=0)
    shop.churn(at=10, n_users=1_000)
    bought = np.expm1(2 * shop.users.features[:, 1:6]).sum(axis=1)
    assert 0 < bought[1_000:].mean() < 0.4 * bought[:1_000].mean()
    assert shop.users.features[1_000:, -1].max() < shop.users.features[:1_000, -1].max()


# ---------------------------------------------------------------------- bad input


BAD_INTEGERS = [-1, 1.0, True, None, "1", float("nan"), float("inf")]


@pytest.mark.parametrize("value", BAD_INTEGERS)
def test_counts_and_rounds_that_are_none_are_refused(value: object):
    shop = small_shop()
    shop.log(5)
    with refuses("n", shop):
        shop.log(value)
    with refuses("n", shop):
        shop.visits(0, value)
    with refuses("start", shop):
        shop.visits(value, 1)
    with pytest.raises(ValueError, match=r"(?<!\w)(t|start)(?!\w)"):
        shop.visit(value)
    assert shop.now == 5
    with refuses("round_", shop):
        shop.present_users(value)
    with refuses("round_", shop):
        shop.visit_probabilities(value)
    with refuses("at", shop):
        shop.shock(value)
    with refuses("at", shop):
        shop.churn(value)
    with refuses("n_products", shop):
        shop.churn(9, n_products=value)
    with refuses("n_users", shop):
        shop.churn(9, n_users=value)
    with refuses("seed"):
        Shop(seed=value)


def test_a_churn_or_log_of_impossible_size_is_refused():
    shop = small_shop()
    for n in (0, -5):
        with refuses("n", shop):
            shop.log(n)
        with refuses("n", shop):
            shop.visits(0, n)
    for n_products in (12, 13):  # one product has to stay
        with refuses("n_products", shop):
            shop.churn(0, n_products=n_products)
    shop.churn(0, n_products=11)
    assert shop.available(0).sum() == 12


def test_rounds_beyond_the_horizon_are_refused():
    shop = small_shop()
    with refuses("rounds", shop):
        shop.click_probability(0, 0, HORIZON)
    with refuses("rounds", shop):
        shop.available(HORIZON)
    with refuses("at", shop):
        shop.churn(HORIZON, n_products=1)


BAD_IDS = st.one_of(
    st.lists(st.integers(-5, 20), min_size=1, max_size=5).filter(
        lambda v: min(v) < 0 or max(v) >= 12
    ),
    st.lists(st.floats(), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=3),
    st.lists(st.text(max_size=3), min_size=1, max_size=3),
    st.just(None),
)


@modest
@given(values=BAD_IDS)
def test_ids_that_name_nobody_are_refused_everywhere(values: object):
    shop = small_shop(0, n_users=12)
    visits = shop.visits(0, 1)
    with refuses("users", shop):
        shop.click_probability(values, 0)
    with refuses("products", shop):
        shop.click_probability(0, values)
    with refuses("products", shop):
        shop.clicks(visits, values)
    with refuses("users", shop):
        shop.logging_propensities(values)


@few
@given(
    values=st.one_of(
        st.lists(st.integers(-9, -1), min_size=1, max_size=3),
        st.lists(st.floats(), min_size=1, max_size=3),
        st.just([True]),
        st.just("now"),
    )
)
def test_rounds_that_are_none_are_refused_everywhere(values: object):
    shop = small_shop(0, n_users=12)
    with refuses("rounds", shop):
        shop.click_probability(0, 0, values)
    with refuses("rounds", shop):
        shop.available(values)


def test_shapes_that_do_not_broadcast_are_refused():
    shop = small_shop()
    for users, products, rounds in (
        (np.arange(2), np.arange(3), None),
        (np.arange(2)[:, None], np.arange(3), np.arange(4)),
        (0, np.arange(3), np.arange(2)),
    ):
        with refuses("products", shop):
            shop.click_probability(users, products, rounds)
    with refuses("products", shop):
        shop.clicks(shop.visits(0, 4), np.arange(3))


@pytest.mark.parametrize("strength", [-0.01, 1.01, np.nan, np.inf, True, "1", None])
def test_a_shock_of_impossible_strength_is_refused(strength: object):
    shop = small_shop()
    with refuses("strength", shop):
        shop.shock(0, strength=strength)


def test_a_shock_towards_unknown_categories_or_personas_is_refused():
    shop = small_shop()
    for towards in ("dragon", "", None, 2, "Fish"):
        with refuses("towards", shop):
            shop.shock(0, towards=towards)
    for personas in (("puppy parent", "nobody"), ("Puppy parent",), "puppy parent", (0,)):
        with refuses("personas", shop):
            shop.shock(0, personas=personas)


@pytest.mark.parametrize("config", [{"n_users": 3}, 5, "default", ShopConfig])
def test_only_a_shop_config_configures_a_shop(config: object):
    with refuses("config"):
        Shop(config)
