"""Values of policies from a log: against sums by hand, scipy's exact interval, and real logs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.lab.coverage import many_logs
from recsys.lab.metrics import ips_rates
from recsys.lab.serving import choose, serve
from recsys.lab.weighting import (
    METHODS,
    chances_of_shown,
    effective_sample_size,
    estimate_value,
    replay_interval,
)
from recsys.policies.exploration import EpsilonGreedy
from recsys.policies.simple import MostPopular, Oracle, RandomPolicy
from recsys.shop.features import JointFeatures, Truth
from recsys.shop.records import Log, Visits
from strategies import few, modest, refuses, small_shop


def small_log(n: int = 40, seed: int = 0) -> tuple[Log, np.ndarray]:
    """Return a log with arbitrary propensities, and the target's chances of what was shown."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 5, n)
    clicks = (rng.random(n) < 0.4).astype(float)
    log = Log(np.arange(n), ids, ids, clicks, rng.uniform(0.05, 1.0, n))
    return log, rng.random(n) * (rng.random(n) < 0.7)


# ---------------------------------------------------------------------- one log


def test_the_inverse_propensity_estimate_is_the_mean_of_the_summands_with_their_spread():
    log, target = small_log()
    summands = log.clicks * target / log.propensities
    mine = estimate_value(log, target)
    low, high = stats.norm.interval(0.95, summands.mean(), stats.sem(summands))
    assert (mine.value, mine.low, mine.high) == pytest.approx((summands.mean(), low, high))
    assert mine.n == 40
    assert mine.largest_weight == (target / log.propensities).max()


def test_the_self_normalised_estimate_is_the_weighted_mean_with_the_spread_of_a_ratio():
    log, target = small_log(seed=1)
    weights = target / log.propensities
    value = np.average(log.clicks, weights=weights)
    mine = estimate_value(log, target, "snips", level=0.8)
    # the delta method's spread, from the covariance of the two means
    covariance = np.cov(weights * log.clicks, weights, ddof=0) / 40
    gradient = np.array([1.0, -value]) / weights.mean()
    spread = np.sqrt(gradient @ covariance @ gradient)
    low, high = stats.norm.interval(0.8, value, spread)
    assert (mine.value, mine.low, mine.high) == pytest.approx((value, low, high))


@modest
@given(k=st.integers(0, 30), more=st.integers(0, 30), level=st.floats(0.5, 0.999))
def test_the_interval_of_what_replay_keeps_is_clopper_and_pearsons(k: int, more: int, level: float):
    n = k + more
    value, low, high = replay_interval(k, n, level)
    if n == 0:
        assert np.isnan(value)
        assert (low, high) == (0.0, 1.0)
        return
    theirs = stats.binomtest(k, n).proportion_ci(level, "exact")
    assert (value, low, high) == pytest.approx((k / n, theirs.low, theirs.high), abs=1e-12)


def test_replay_keeps_a_row_with_probability_weight_by_bound():
    # two kinds of rows of weights 1 and 4, clicked and not: their share tells the chance to be kept
    n = 40_000
    heavy = np.arange(n) % 2 == 0
    log = Log(*[np.arange(n)] * 3, heavy.astype(float), np.where(heavy, 0.25, 1.0))
    mine = estimate_value(log, np.ones(n), "replay", 8.0, np.random.default_rng(0))
    assert mine.value == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / (n * 5 / 16)))
    width = 2 * 1.96 * np.sqrt(0.16 / (n * 5 / 16))  # of a binomial interval on so many rows
    assert mine.high - mine.low == pytest.approx(width, rel=0.05)


def test_where_every_weight_is_the_bound_replay_keeps_all_rows():
    log = Log(*[np.arange(9)] * 3, np.array([1.0] * 4 + [0.0] * 5), np.full(9, 0.5))
    mine = estimate_value(log, np.ones(9), "replay", 2.0)
    theirs = stats.binomtest(4, 9).proportion_ci(0.95, "exact")
    assert (mine.value, mine.low, mine.high) == pytest.approx((4 / 9, theirs.low, theirs.high))


def test_replay_that_keeps_nothing_says_nothing():
    log = Log(*[np.arange(3)] * 3, np.ones(3), np.ones(3))
    mine = estimate_value(log, np.full(3, 0.5), "replay", 1e12)
    assert np.isnan(mine.value)
    assert (mine.low, mine.high) == (0.0, 1.0)


def test_on_the_rules_own_log_all_weights_are_one():
    log = small_shop(2).log(500)
    for method in METHODS:
        mine = estimate_value(log, log.propensities, method, 1.0)
        assert mine.value == pytest.approx(log.clicks.mean())
        assert mine.effective_sample_size == pytest.approx(500)
        assert mine.largest_weight == 1.0


def test_a_fixed_products_value_is_its_inverse_propensity_rate():
    log = small_shop(3).log(800)
    for product, rate in enumerate(ips_rates(log, 12)):
        target = np.zeros((800, 12))
        target[:, product] = 1.0  # the whole rows, and below only the chance of what was shown
        assert estimate_value(log, target).value == pytest.approx(rate)
        assert estimate_value(log, log.products == product).value == pytest.approx(rate)


@modest
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20).filter(lambda w: max(w) > 1e-3))
def test_the_effective_sample_size_is_kishs(weights: list[float]):
    w = np.array(weights)
    size = effective_sample_size(w)
    assert size == pytest.approx(w.sum() ** 2 / (w @ w))
    assert 1 - 1e-9 <= size <= len(w) + 1e-9


def test_some_equal_weights_among_zeros_count_as_so_many():
    assert effective_sample_size([0.0, 3.0, 3.0, 3.0, 0.0]) == pytest.approx(3.0)


# ---------------------------------------------------------------------- real logs of a shop


@few
@given(n=st.integers(1, 60), truth=st.booleans())
def test_chances_of_what_was_shown_are_the_policys_own(n: int, truth: bool):
    shop = small_shop(6, n_users=6)
    shop.churn(at=20, n_products=4, n_users=3)
    log = shop.log(n)
    featurizer = Truth(shop) if truth else JointFeatures(shop)
    policy = EpsilonGreedy(Oracle(16) if truth else RandomPolicy(16), 0.5)
    chances = chances_of_shown(shop, policy, featurizer, log)
    for i in range(n):
        row = featurizer(Visits(log.rounds[i], log.users[i], 0.0))
        stated = policy.probabilities(row, shop.available(i))
        assert chances[i] == pytest.approx(stated[log.products[i]], rel=1e-12)


def test_a_policy_served_says_of_its_own_log_what_it_recorded():
    shop = small_shop(7)
    policy = EpsilonGreedy(Oracle(12), 0.3)
    log = serve(shop, policy, Truth(shop), 300)
    assert np.array_equal(chances_of_shown(shop, policy, Truth(shop), log), log.propensities)


def test_all_three_methods_find_the_oracles_value_in_another_rules_log():
    shop = small_shop(4)
    users, oracle = np.arange(60), Oracle(12)
    rules = shop.logging_propensities(users)
    mu = shop.click_probability(users[:, None], np.arange(12))
    bound = (1 / rules[users, mu.argmax(axis=1)]).max()
    value = shop.visit_probabilities(0) @ mu.max(axis=1)
    log = shop.log(60_000)
    target = chances_of_shown(shop, oracle, Truth(shop), log)
    visits = shop.visits(0, 60_000)  # the same visitors, served by the oracle itself
    products, _ = choose(shop, oracle, Truth(shop), visits)
    assert np.array_equal(target == 1.0, products == log.products)
    for method in METHODS:
        mine = estimate_value(log, target, method, bound, level=0.9999)
        assert mine.low < value < mine.high
        assert mine.high - mine.low < 0.8 * value
        assert 1 < mine.effective_sample_size < 60_000


# ---------------------------------------------------------------------- many logs at once


def known_world(seed: int = 4) -> tuple[np.ndarray, ...]:
    shop = small_shop(seed)
    users = np.arange(60)
    mu = shop.click_probability(users[:, None], np.arange(12))
    return shop.visit_probabilities(0), mu, shop.logging_propensities(users)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("oracle", [False, True])
def test_many_logs_at_once_are_distributed_as_logs_drawn_visit_by_visit(method: str, oracle: bool):
    visitors, mu, logging = known_world()
    shop = small_shop(4)
    target = np.eye(12)[mu.argmax(axis=1) if oracle else np.full(60, 3)]
    n, logs, rng = 400, 400, np.random.default_rng(0)
    bound = (target / logging).max()
    one_by_one = []
    for _ in range(logs):
        log = shop.log(n)
        found = estimate_value(log, target[log.users], method, bound, rng)
        one_by_one.append([found.low, found.high])
    at_once = many_logs(visitors, mu, logging, target, n, logs, rng)
    _, low, high = at_once.intervals(method, rng=rng)
    for mine, theirs in zip((low, high), np.transpose(one_by_one), strict=True):
        assert stats.ks_2samp(mine, theirs).pvalue > 1e-4
    assert at_once.value == pytest.approx(visitors @ (target * mu).sum(axis=1))


def test_the_deviation_of_many_logs_is_that_of_the_proposition():
    visitors, mu, logging = known_world()
    found = many_logs(visitors, mu, logging, np.eye(12)[np.full(60, 3)], 100, 1)
    variance = visitors @ (mu[:, 3] / logging[:, 3]) - (visitors @ mu[:, 3]) ** 2
    assert found.deviation == pytest.approx(np.sqrt(variance / 100))


def test_counts_and_rows_of_one_log_give_the_same_intervals():
    visitors, mu, logging = known_world()
    many = many_logs(visitors, mu, logging, np.eye(12)[np.full(60, 3)], 500, 1)
    counts = np.concatenate([many.clicked[0], many.passed[0]])
    weights, clicks = np.tile(many.weights, 2), np.repeat([1.0, 0.0], len(many.weights))
    weights, clicks = np.repeat(weights, counts), np.repeat(clicks, counts)
    rest = 500 - len(weights)
    log = Log(
        *[np.arange(500)] * 3,
        np.append(clicks, np.zeros(rest)),
        np.append(1 / weights, np.ones(rest)),
    )
    target = np.append(np.ones(len(weights)), np.zeros(rest))
    for method in ("ips", "snips"):
        mine = estimate_value(log, target, method)
        theirs = [part[0] for part in many.intervals(method)]
        assert (mine.value, mine.low, mine.high) == pytest.approx(theirs)


def test_replay_holds_at_its_level_where_the_normal_interval_does_not():
    # one visitor, one product with a propensity of 1/400 and a rate of 0.1: a click in 4,000 rows
    world = ([1.0], [[0.1, 0.1]], [[1 / 400, 1 - 1 / 400]], [[1.0, 0.0]])
    many = many_logs(*world, 8_000, 20_000, np.random.default_rng(0))
    covered = {}
    for method in ("ips", "replay"):
        _, low, high = many.intervals(method)
        covered[method] = np.nanmean((low <= 0.1) & (high >= 0.1))
    # by hand: the estimate is a binomial count over 20, and no click at all leaves no interval
    k = np.arange(60)
    pmf = stats.binom.pmf(k, 8_000, 0.1 / 400)
    spread = np.sqrt((k / 8_000 - (k / 8_000) ** 2) / 7_999) * 400
    holds = np.abs(k / 20 - 0.1) <= stats.norm.ppf(0.975) * spread
    assert covered["ips"] == pytest.approx(pmf @ holds, abs=0.02)
    assert covered["ips"] < 0.9
    assert covered["replay"] > 0.95 - 4 * np.sqrt(0.05 * 0.95 / 20_000)


# ---------------------------------------------------------------------- what is refused


def test_what_is_no_log_or_no_target_is_refused():
    log, target = small_log()
    for name, wrong in [
        ("method", {"method": "doubly robust"}),
        ("largest_weight", {"method": "replay"}),
        ("largest_weight", {"method": "replay", "largest_weight": 0.1}),
        ("largest_weight", {"method": "replay", "largest_weight": np.nan}),
        ("rng", {"method": "replay", "largest_weight": 1e6, "rng": 0}),
        ("level", {"level": 1.0}),
        ("target", {"target": target[1:]}),
        ("target", {"target": 2 * target + 1}),
        ("target", {"target": np.zeros(40)}),
        ("target", {"target": np.ones((40, 5))}),
        ("products", {"target": np.full((40, 2), 0.5)}),
    ]:
        with refuses(name):
            estimate_value(**{"log": log, "target": target, **wrong})
    with refuses("log"):
        estimate_value(log[:1], target[:1])
    with refuses("log"):
        estimate_value(Log(*[log.rounds] * 3, log.clicks, 0.0 * log.propensities), target)
    with refuses("target"):
        tiny = np.full(40, 1e-200)
        estimate_value(Log(*[log.rounds] * 3, log.clicks, tiny), target)
    for wrong in ([], [0.0], [-1.0, 2.0], [[1.0]]):
        with refuses("weights"):
            effective_sample_size(wrong)


def test_chances_need_rounds_without_gaps_and_products_that_the_shop_has():
    shop = small_shop(0)
    log = shop.log(20)
    with refuses("log.rounds"):
        chances_of_shown(shop, MostPopular(12), JointFeatures(shop), log[::2])
    beyond = Log(log.rounds, log.users, log.products + 12, log.clicks, log.propensities)
    with refuses("log.products"):
        chances_of_shown(shop, MostPopular(12), JointFeatures(shop), beyond)


def test_many_logs_need_probabilities_and_a_rule_that_shows_what_the_target_does():
    good = {
        "visitors": [0.5, 0.5],
        "mu": np.full((2, 2), 0.1),
        "logging": np.full((2, 2), 0.5),
        "target": np.eye(2),
        "n": 10,
        "logs": 3,
    }
    many = many_logs(**good)
    for name, value in [
        ("visitors", [0.5, 0.6]),
        ("visitors", [1.0]),
        ("mu", np.full((2, 2), 1.1)),
        ("mu", np.full(2, 0.5)),
        ("logging", np.full((2, 3), 1 / 3)),
        ("logging", np.eye(2)[::-1]),
        ("target", np.ones((2, 2))),
        ("n", 1),
        ("logs", 0),
        ("rng", 7),
    ]:
        with refuses(name):
            many_logs(**{**good, name: value})
    for name, wrong in [
        ("method", {"method": "dr"}),
        ("level", {"level": 0.0}),
        ("largest_weight", {"method": "replay", "largest_weight": 1.0}),
    ]:
        with refuses(name):
            many.intervals(**wrong)
