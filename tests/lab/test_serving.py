import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.baseline.logistic import LogisticPolicy
from recsys.lab.experiment import run
from recsys.lab.serving import CHUNK, choose, judge, retrain, serve
from recsys.policies.base import ScoringPolicy
from recsys.policies.exploration import EpsilonGreedy
from recsys.policies.simple import MostPopular, Oracle, RandomPolicy
from recsys.shop.features import (
    Featurizer,
    JointFeatures,
    ObservedFeatures,
    SharedUserFeatures,
    Truth,
)
from recsys.shop.records import Log
from strategies import few, refuses, rewards_by_hand, small_shop, snapshot, z_score


class Peak(ScoringPolicy):
    """Learns nothing; its scores jump from user to user and from arm to arm."""

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return numbers without ties."""
        return np.sin(1e4 * contexts.sum(axis=-1) + np.arange(self.n_arms))


def test_serve_logs_what_the_policy_shows_with_its_probability():
    shop = small_shop(6, base_logit=-1.0)
    shop.churn(at=900, n_products=4)
    popular = MostPopular.from_log(shop.log(500), 16)
    policy = EpsilonGreedy(popular, 0.4)
    n = 30_000
    log = serve(shop, policy, JointFeatures(shop), n)
    assert shop.now == 500 + n
    assert log.rounds.tolist() == list(range(500, 500 + n))
    assert np.array_equal(log.users, shop.visits(500, n).users)
    assert log.clicks[:300].tolist() == rewards_by_hand(shop, log.products[:300], 500)
    mu = shop.click_probability(log.users, log.products, log.rounds)
    assert abs(z_score(log.clicks, mu)) < 4
    for part in (slice(0, 400), slice(400, n)):  # before and after the churn
        mask = shop.available(log.rounds[part])[0]
        chances = policy.probabilities(np.zeros(3), mask)
        assert np.array_equal(log.propensities[part], chances[log.products[part]])
        shown = np.bincount(log.products[part], minlength=16)
        assert (shown[~mask] == 0).all()
        expected = chances[mask] * shown.sum()
        assert stats.chisquare(shown[mask], expected).pvalue > 1e-3


def test_serving_is_replayed_by_the_policys_generator_and_no_other():
    def served(seed: int) -> Log:
        shop = small_shop(6)
        policy = RandomPolicy(12, rng=np.random.default_rng(seed))
        return serve(shop, policy, JointFeatures(shop), CHUNK + 5)

    assert snapshot(served(0)) == snapshot(served(0))
    one, other = served(0), served(1)
    assert np.array_equal(one.users, other.users)
    same = one.products == other.products
    assert 0 < same.mean() < 0.3
    assert np.array_equal(one.clicks[same], other.clicks[same])


def test_serving_twice_goes_on_where_the_first_ended():
    once, twice = small_shop(6), small_shop(6)
    whole = serve(once, RandomPolicy(12), JointFeatures(once), 90)
    policy = RandomPolicy(12)
    parts = [serve(twice, policy, JointFeatures(twice), n) for n in (30, 60)]
    assert snapshot(parts[0] + parts[1]) == snapshot(whole)


def test_serve_depends_on_the_context_of_each_visit():
    shop = small_shop(6)
    truth = Truth(shop)
    log = serve(shop, Oracle(12), truth, 400)
    mu = shop.click_probability(log.users[:, None], np.arange(12), log.rounds[:, None])
    assert np.array_equal(log.products, mu.argmax(axis=1))
    assert (log.propensities == 1.0).all()


@few
@given(n=st.integers(1, 60), start=st.integers(0, 40), truth=st.booleans())
def test_a_user_who_comes_again_is_served_by_the_same_rule_at_the_round_of_the_visit(
    n: int, start: int, truth: bool
):
    shop = small_shop(6, n_users=6, drift_amplitude=0.9, drift_period=40)
    shop.shock(at=30)
    shop.churn(at=20, n_products=4, n_users=3)
    featurizer = Truth(shop) if truth else JointFeatures(shop)
    policy = EpsilonGreedy(Peak(16), 0.5)
    visits = shop.visits(start, n)
    products, propensities = choose(shop, policy, featurizer, visits)
    for i in range(n):
        stated = policy.probabilities(featurizer(visits[i]), shop.available(start + i))
        assert propensities[i] == pytest.approx(stated[products[i]], rel=1e-12)
        assert propensities[i] > 0


def test_products_are_chosen_with_the_policys_probabilities_whoever_comes():
    shop = small_shop(7, n_users=5)
    policy, featurizer = EpsilonGreedy(Peak(12), 0.6), JointFeatures(shop)
    visits = shop.visits(0, 40_000)
    products, _ = choose(shop, policy, featurizer, visits)
    for user in range(5):
        rows = visits.users == user
        stated = policy.probabilities(featurizer(visits[np.flatnonzero(rows)[0]]))
        shown = np.bincount(products[rows], minlength=12)
        assert stats.chisquare(shown, rows.sum() * stated).pvalue > 1e-3


def test_one_row_for_all_arms_serves_too():
    shop = small_shop(4, n_users=12)
    log = serve(shop, RandomPolicy(12), SharedUserFeatures(shop), 200)
    assert np.allclose(log.propensities, 1 / 12)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, "5", np.nan])
def test_numbers_of_visits_are_positive_integers(value: object):
    shop, policy = small_shop(), RandomPolicy(12)
    with refuses("n", shop, policy):
        serve(shop, policy, JointFeatures(shop), value)


def test_a_policy_for_another_number_of_arms_or_worlds_serves_nobody():
    shop = small_shop()
    for policy in (RandomPolicy(11), RandomPolicy(12, 2)):
        with pytest.raises(ValueError, match=r"contexts|available|policy"):
            serve(shop, policy, JointFeatures(shop), 5)
        assert shop.now == 0


# ---------------------------------------------------------------------- judge and retrain


@pytest.mark.parametrize("n", [1, CHUNK, CHUNK + 90])
def test_a_judged_log_is_the_trace_of_the_policy_that_filled_it(n: int):
    shop = small_shop(3, drift_amplitude=0.5, drift_period=500)
    shop.shock(at=200)
    shop.churn(at=300, n_products=4, n_users=10)
    policy, featurizer = MostPopular(16, learns=False), JointFeatures(shop)
    policy.clicks += 0.01 * np.sqrt(np.arange(16))  # no ties, so no draw decides
    expected = run(shop, policy, featurizer, 0, n)
    judged = judge(shop, serve(shop, policy, featurizer, n))
    for name in ("arms", "rewards", "mu", "best"):
        assert np.array_equal(getattr(judged, name), getattr(expected, name))


def test_every_night_a_new_policy_reads_the_newest_impressions():
    shop = small_shop(5)
    seen: list[Log] = []

    def train(log: Log) -> tuple[ScoringPolicy, Featurizer]:
        seen.append(log)
        rng = np.random.default_rng(len(seen))
        return RandomPolicy(12, rng=rng), JointFeatures(shop)

    before = shop.log(30)
    served = retrain(shop, train, before, days=3, visits_a_day=20, window=45)
    assert shop.now == 30 + 3 * 20
    assert served.rounds.tolist() == list(range(30, 90))
    whole = before + served
    for night, log in enumerate(seen):
        known = 30 + 20 * night
        assert snapshot(log) == snapshot(whole[max(0, known - 45) : known])
    assert len(seen) == 3


def test_training_anew_follows_a_change_that_the_first_model_cannot():
    shop = small_shop(2, n_users=200, base_logit=-1.0)
    shop.shock(at=4_000, personas=("puppy parent", "cat connoisseur", "budget shopper"))
    features = ObservedFeatures(shop)
    log = shop.log(4_000)
    frozen = judge(shop, serve(shop, LogisticPolicy(features, log), features, 8_000))
    shop.now = 4_000
    nightly = retrain(
        shop, lambda rows: (LogisticPolicy(features, rows), features), log, 8, 1_000, 4_000
    )
    late = slice(5_000, None)
    assert judge(shop, nightly).mu[late].mean() > frozen.mu[late].mean() + 0.02


@pytest.mark.parametrize(("name", "value"), [("days", 0), ("window", 0), ("days", 1.5)])
def test_days_and_windows_are_positive_integers(name: str, value: object):
    shop = small_shop()
    log = shop.log(5)
    settings = {"days": 1, "visits_a_day": 5, "window": 5} | {name: value}
    with refuses(name, shop):
        retrain(shop, lambda log: (RandomPolicy(12), JointFeatures(shop)), log, **settings)
