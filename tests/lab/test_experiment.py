from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.lab import experiment
from recsys.lab.experiment import read_logs, replicate, run
from recsys.lab.serving import CHUNK
from recsys.policies.base import ScoringPolicy
from recsys.policies.exploration import EpsilonGreedy
from recsys.policies.simple import MostPopular, Oracle, RandomPolicy
from recsys.shop.features import Featurizer, JointFeatures, SharedUserFeatures, Truth
from recsys.shop.records import Trace
from recsys.shop.simulator import Shop
from recsys.shop.world import ShopConfig
from strategies import ByContext, few, refuses, rewards_by_hand, small_shop, snapshot, z_score

TINY = ShopConfig(n_users=40, n_products=8)


class Spy(ScoringPolicy):
    """Writes down every call; its scores depend on the context, so it has few ties."""

    def __init__(
        self, n_arms: int, n_worlds: int | None = None, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(n_arms, n_worlds, rng)
        self.calls: list[tuple] = []

    learns = True

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return numbers that jump from arm to arm and from visit to visit."""
        self.calls.append(("select", contexts.copy()))
        return np.sin(1e4 * contexts.sum(axis=-1) + np.arange(self.n_arms))

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        self.calls.append(("update", arms.copy(), context.copy(), rewards.copy()))


class Adaptive(ScoringPolicy):
    """Learns a weight per arm that shifts its scores: what it shows depends on every reward."""

    learns = True

    def __init__(
        self, n_arms: int, n_worlds: int | None = None, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(n_arms, n_worlds, rng)
        self.weight = np.zeros((self.n_arms,) if n_worlds is None else (n_worlds, self.n_arms))

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the learnt weight plus a value without ties."""
        return self.weight + np.sin(1e4 * contexts.sum(axis=-1) + np.arange(self.n_arms))

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        cell = arms if self.n_worlds is None else (np.arange(self.n_worlds), arms)
        self.weight[cell] += rewards - 0.1 + 0.01 * context[..., 0]


# ---------------------------------------------------------------------- run


@pytest.mark.parametrize("make", [RandomPolicy, ByContext, MostPopular, Adaptive])
@pytest.mark.parametrize("start", [0, 37])
def test_a_trace_says_what_was_shown_clicked_and_missed(make: type[ScoringPolicy], start: int):
    shop = small_shop(3, base_logit=-1.5, drift_amplitude=0.5, drift_period=500)
    shop.shock(at=start + 300)
    shop.churn(at=start + 200, n_products=4, n_users=10)
    n = CHUNK + 90  # so that a seam lies inside
    trace = run(shop, make(shop.n_products), JointFeatures(shop), start, n)
    assert trace.arms.shape == trace.rewards.shape == trace.mu.shape == trace.best.shape == (n,)
    assert trace.rewards.tolist() == rewards_by_hand(shop, trace.arms, start)
    assert 0 < trace.rewards.mean() < 1
    for i in range(0, n, 13):
        user = shop.visits(start + i, 1).users[0]
        mu = shop.click_probability(user, np.arange(shop.n_products), start + i)
        on_sale = shop.available(start + i)
        assert on_sale[trace.arms[i]]
        assert trace.mu[i] == mu[trace.arms[i]]
        assert trace.best[i] == max(mu[on_sale])
    assert (trace.regret >= 0).all()
    assert np.array_equal(trace.regret, trace.best - trace.mu)
    assert trace.regret.sum() > 0
    assert abs(z_score(trace.rewards, trace.mu)) < 4
    assert shop.now == 0


def test_the_oracle_never_regrets():
    shop = small_shop(1, drift_amplitude=0.5, drift_period=400)
    shop.shock(at=200)
    shop.churn(at=300, n_products=5)
    trace = run(shop, Oracle(shop.n_products), Truth(shop), 0, 700)
    assert (trace.regret == 0).all()


def test_better_policies_earn_more_and_regret_less():
    shop = Shop(seed=2)
    n = 4_000
    oracle = run(shop, Oracle(50), Truth(shop), 0, n)
    popular = run(shop, MostPopular.from_log(shop.log(20_000), 50), JointFeatures(shop), 0, n)
    chance = run(shop, RandomPolicy(50), JointFeatures(shop), 0, n)
    assert oracle.mu.mean() > 1.5 * popular.mu.mean() > 1.5 * chance.mu.mean()
    assert np.array_equal(oracle.best, popular.best)
    assert np.array_equal(oracle.best, chance.best)


def test_a_learning_policy_is_updated_after_each_reward_with_the_row_that_was_played():
    shop = small_shop(4, base_logit=0.0)
    shop.churn(at=20, n_products=2)
    spy, start, n = Spy(shop.n_products), 10, CHUNK + 20
    trace = run(shop, spy, JointFeatures(shop), start, n)
    assert [call[0] for call in spy.calls] == ["select", "update"] * n
    expected = rewards_by_hand(shop, trace.arms, start)
    features = JointFeatures(shop)
    for i in range(n):
        _, seen = spy.calls[2 * i]
        _, arm, row, reward = spy.calls[2 * i + 1]
        visit = shop.visits(start + i, 1)[0]
        assert np.array_equal(seen, features(visit))
        assert arm == trace.arms[i]
        assert np.array_equal(row, seen[trace.arms[i]])
        assert reward == expected[i]


@pytest.mark.parametrize("bytes_", [1, 10_000])
def test_how_many_contexts_are_made_at_a_time_changes_nothing(
    bytes_: int, monkeypatch: pytest.MonkeyPatch
):
    shops = [small_shop(4), small_shop(5)]
    for shop in shops:
        shop.churn(at=20, n_products=2)
    views = [JointFeatures(shop) for shop in shops]

    def play() -> Trace:
        return run(shops, Adaptive(shops[0].n_products, n_worlds=2), views, 10, 90)

    together = play()
    monkeypatch.setattr(experiment, "CONTEXT_BYTES", bytes_)
    apart = play()
    for field in ("arms", "rewards", "mu", "best"):
        assert np.array_equal(getattr(apart, field), getattr(together, field))


def test_a_shared_row_is_handed_to_select_and_update_as_it_is():
    shop = small_shop(4)
    spy = Spy(12)
    run(shop, spy, SharedUserFeatures(shop), 0, 30)
    for i in range(30):
        expected = shop.users.features[shop.visits(i, 1).users[0]]
        assert np.array_equal(spy.calls[2 * i][1], expected)
        assert np.array_equal(spy.calls[2 * i + 1][2], expected)


def test_shared_rows_serve_a_policy_that_does_not_learn_too():
    # the rows (12, d) of 12 visitors must not be read as the rows of the 12 arms of one visit
    shop = small_shop(4, n_users=12)
    for n in (1, 5, 12, 200):
        arms = run(shop, RandomPolicy(12), SharedUserFeatures(shop), 0, n).arms
        assert len(np.unique(arms)) > min(n - 1, 2)


@few
@given(
    make=st.sampled_from([Adaptive, MostPopular, Spy]),
    n=st.integers(1, 40),
    start=st.integers(0, 30),
)
def test_many_worlds_at_once_are_each_world_alone(make: type[ScoringPolicy], n: int, start: int):
    shops = [small_shop(seed, 20, 6, base_logit=-1.0) for seed in (1, 2, 3)]
    for shop in shops:
        shop.churn(at=20, n_products=2)
    # a row shared by all arms would let the other two tie
    kind = SharedUserFeatures if make is MostPopular else JointFeatures

    def player(worlds: int | None) -> ScoringPolicy:
        policy = make(8, worlds)
        if make is MostPopular:  # start from rates that do not tie
            policy.clicks += 0.01 * np.sqrt(np.arange(8))
        return policy

    together = run(shops, player(3), [kind(s) for s in shops], start, n)
    assert together.arms.shape == (3, n)
    for i, shop in enumerate(shops):
        alone = run(shop, player(None), kind(shop), start, n)
        for name in ("arms", "rewards", "mu", "best"):
            assert np.array_equal(getattr(together, name)[i], getattr(alone, name))


def test_playing_in_two_parts_is_playing_once():
    shop = small_shop(5)
    whole = run(shop, Adaptive(12), JointFeatures(shop), 0, 60)
    policy = Adaptive(12)
    parts = [run(shop, policy, JointFeatures(shop), start, 30) for start in (0, 30)]
    assert whole.arms.tolist() == [*parts[0].arms, *parts[1].arms]
    assert whole.rewards.tolist() == [*parts[0].rewards, *parts[1].rewards]


# ---------------------------------------------------------------------- read_logs


@few
@given(n=st.integers(1, 30))
def test_reading_logs_is_being_taught_their_rows_one_by_one(n: int):
    shops = [small_shop(seed, 20, 6) for seed in (1, 2)]
    logs = [shop.log(n) for shop in shops]
    together = Adaptive(6, 2)
    read_logs(together, shops, logs, [SharedUserFeatures(shop) for shop in shops])
    for i, (shop, log) in enumerate(zip(shops, logs, strict=True)):
        by_hand, alone = Adaptive(6), Adaptive(6)
        for user, product, click in zip(log.users, log.products, log.clicks, strict=True):
            by_hand.update(int(product), shop.users.features[user], float(click))
        read_logs(alone, shop, log, SharedUserFeatures(shop))
        assert np.array_equal(by_hand.weight, alone.weight)
        assert np.array_equal(by_hand.weight, together.weight[i])
        assert by_hand.weight.any()


def test_a_policy_that_takes_no_logs_at_once_reads_them_row_by_row():
    shop = small_shop(3, 20, 6)
    log, told = shop.log(25), []

    class Plain:
        def update(self, arm: int, context: np.ndarray, reward: float) -> None:
            told.append((int(arm), *context, float(reward)))

    read_logs(Plain(), shop, log, SharedUserFeatures(shop))
    features = shop.users.features[log.users]
    assert np.array_equal(told, np.column_stack([log.products, features, log.clicks]))


def test_logs_that_do_not_match_the_shops_are_refused():
    shops = [small_shop(0), small_shop(1)]
    logs = [shop.log(5) for shop in shops]
    makers = [JointFeatures(shop) for shop in shops]
    policy = MostPopular(12, 2)
    for some in (logs[:1], logs[0], [logs[0], logs[1][:3]]):
        with refuses("logs", shops, policy):
            read_logs(policy, shops, some, makers)
    with refuses("logs", shops, policy):
        read_logs(policy, shops, logs, makers[:1])


# ---------------------------------------------------------------------- replicate


def contestants() -> dict[str, Callable]:
    """Return policies that use their own generator, the log, and what they learn."""

    def epsilon(shop: Shop, rng: np.random.Generator) -> tuple[EpsilonGreedy, Featurizer]:
        greedy = MostPopular(shop.n_products, rng=rng)
        return EpsilonGreedy(greedy, 0.2, rng), JointFeatures(shop)

    return {
        "random": lambda shop, rng: (RandomPolicy(shop.n_products, rng=rng), JointFeatures(shop)),
        "epsilon": epsilon,
        "oracle": lambda shop, rng: (Oracle(shop.n_products, rng=rng), Truth(shop)),
    }


def test_adding_a_policy_leaves_the_others_rewards_bit_identical():
    entries = contestants()
    three = replicate(entries, range(3), 150, TINY, n_jobs=1, progress=False)
    for name in entries:
        alone = replicate({name: entries[name]}, range(3), 150, TINY, n_jobs=1, progress=False)
        assert snapshot(alone[name]) == snapshot(three[name])
    assert not np.array_equal(three["random"].arms, three["epsilon"].arms)


def test_the_order_of_the_policies_and_of_the_seeds_does_not_matter():
    entries = contestants()
    one = replicate(entries, [0, 1, 2], 100, TINY, n_jobs=1, progress=False)
    turned = dict(reversed(entries.items()))
    other = replicate(turned, [2, 0, 1], 100, TINY, n_jobs=1, progress=False)
    for name in entries:
        assert np.array_equal(one[name].rewards, other[name].rewards[[1, 2, 0]])
        assert np.array_equal(one[name].arms, other[name].arms[[1, 2, 0]])


def test_two_processes_give_what_one_gives():
    one, two = (
        replicate(contestants(), range(4), 80, TINY, n_jobs=jobs, progress=False) for jobs in (1, 2)
    )
    assert snapshot(one) == snapshot(two)
    assert one["random"].arms.shape == (4, 80)


def test_every_seed_gets_a_fresh_shop_and_a_fresh_agent():
    made: list[tuple[Shop, MostPopular]] = []

    def popular(shop: Shop, rng: np.random.Generator) -> tuple[MostPopular, Featurizer]:
        policy = MostPopular(shop.n_products, rng=rng)
        made.append((shop, policy))
        assert policy.impressions.sum() == 50 * shop.n_products  # nothing learnt yet
        return policy, JointFeatures(shop)

    entries = {"popular": popular, "second": popular}
    traces = replicate(entries, (5, 6), 40, TINY, n_jobs=1, progress=False)
    assert [shop.seed for shop, _ in made] == [5, 5, 6, 6]
    assert len({id(policy) for _, policy in made}) == 4
    assert all(policy.impressions.sum() == 50 * 8 + 40 for _, policy in made)
    alone = replicate({"popular": popular}, (6,), 40, TINY, n_jobs=1, progress=False)
    assert np.array_equal(traces["popular"].rewards[1], alone["popular"].rewards[0])


def test_the_same_name_gives_the_same_draws_and_another_name_others():
    make = contestants()["random"]
    entries = {"a": make, "b": make}
    traces = replicate(entries, range(2), 60, TINY, n_jobs=1, progress=False)
    again = replicate({"b": make}, range(2), 60, TINY, n_jobs=1, progress=False)
    assert np.array_equal(traces["b"].arms, again["b"].arms)
    assert not np.array_equal(traces["a"].arms, traces["b"].arms)
    assert np.array_equal(traces["a"].best, traces["b"].best)


def test_preparation_comes_first_and_its_clock_is_where_play_starts():
    def prepare(shop: Shop) -> None:
        shop.log(70)
        shop.shock(at=90)

    trace = replicate(contestants(), [4], 50, TINY, prepare, n_jobs=1, progress=False)["random"]
    shop = Shop(TINY, 4)
    prepare(shop)
    policy = RandomPolicy(8, rng=shop.policy_rng("random"))
    expected = run(shop, policy, JointFeatures(shop), 70, 50)
    assert np.array_equal(trace.arms[0], expected.arms)
    assert np.array_equal(trace.mu[0], expected.mu)


def test_a_contestant_that_reads_a_log_of_its_own_does_not_move_the_others():
    # a policy that trains on data makes the shop log; the others still play the same visits
    def trained(shop: Shop, rng: np.random.Generator) -> tuple[MostPopular, Featurizer]:
        return MostPopular.from_log(shop.log(100), 8, rng), JointFeatures(shop)

    chance = contestants()["random"]
    alone = replicate({"random": chance}, [0], 50, TINY, n_jobs=1, progress=False)
    entries = {"trained": trained, "random": chance}
    both = replicate(entries, [0], 50, TINY, n_jobs=1, progress=False)
    assert np.array_equal(alone["random"].rewards, both["random"].rewards)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, "5", np.nan])
def test_numbers_of_rounds_are_positive_integers(value: object):
    shop = small_shop()
    policy = MostPopular(12)
    with refuses("n", shop, policy):
        run(shop, policy, JointFeatures(shop), 0, value)
    with refuses("n_rounds"):
        replicate(contestants(), [0], value, TINY, n_jobs=1, progress=False)


@pytest.mark.parametrize("value", [-1, 1.0, True, None, "5", np.nan])
def test_the_first_round_is_an_integer_from_zero_on(value: object):
    shop, policy = small_shop(), MostPopular(12)
    with refuses("start", shop, policy):
        run(shop, policy, JointFeatures(shop), value, 5)


@pytest.mark.parametrize("seeds", [[], [-1], [0.5], [True], ["3"], [None]])
def test_seeds_that_are_none_are_refused_before_a_shop_is_made(seeds: list):
    made = []
    with refuses("seeds"):
        replicate(contestants(), seeds, 5, TINY, made.append, n_jobs=1, progress=False)
    assert made == []


def test_a_featurizer_for_each_shop_is_demanded():
    shops = [small_shop(0), small_shop(1)]
    policy = MostPopular(12, 2)
    for makers in ([JointFeatures(shops[0])], JointFeatures(shops[0]), []):
        with refuses("featurizers", shops, policy):
            run(shops, policy, makers, 0, 5)


def test_a_policy_for_another_number_of_arms_or_worlds_is_refused_before_a_round():
    shop = small_shop()
    for policy in (MostPopular(11), MostPopular(13), RandomPolicy(11), MostPopular(12, 2)):
        with pytest.raises(ValueError, match=r"contexts|available|policy"):
            run(shop, policy, JointFeatures(shop), 0, 5)
        assert np.unique(getattr(policy, "impressions", 0)).size == 1


def test_many_shops_at_once_are_for_policies_that_learn():
    shops = [small_shop(0), small_shop(1)]
    policy = RandomPolicy(12, 2)
    with refuses("worlds", shops, policy):
        run(shops, policy, [JointFeatures(s) for s in shops], 0, 5)


def test_an_empty_or_foreign_set_of_shops_is_refused():
    with pytest.raises(ValueError, match=r"shops|featurizers"):
        run([], MostPopular(12, 1), [], 0, 5)
    with refuses("policies"):
        replicate({}, [0], 5, TINY, n_jobs=1, progress=False)
    with refuses("config"):
        replicate(contestants(), [0], 5, {"n_users": 3}, n_jobs=1, progress=False)
