import numpy as np
import pytest

from recsys.lab import RewardTable, run
from recsys.linear import LinUCB, SharedLinUCB
from recsys.neural import NeuralUCB
from recsys.policies import (
    EpsilonGreedy,
    LateFeedback,
    MostPopular,
    Oracle,
    RandomPolicy,
)
from strategies import refuses, small_shop

N, K, D = 60, 4, 3


def table(seed: int = 0, shared: bool = True, holes: bool = False) -> RewardTable:
    """Return rounds in which each arm earns what a vector of its own says, and noise."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((N, D) if shared else (N, K, D))
    theta = np.random.default_rng(9).standard_normal((K, D))
    rewards = (
        np.einsum("nd,kd->nk", rows, theta) if shared else np.einsum("nkd,kd->nk", rows, theta)
    )
    available = rng.random((N, K)) < 0.7
    available[np.arange(N), rng.integers(0, K, N)] = True
    return RewardTable(rows, rewards, available if holes else None)


def by_hand(policy: LinUCB, data: RewardTable) -> np.ndarray:
    """Return the arms of the plain loop: choose, earn, learn."""
    shown = []
    for rows, rewards, offer in zip(data.contexts, data.rewards, data.available, strict=True):
        arm = policy.select(rows, offer)
        policy.update(arm, rows if rows.ndim == 1 else rows[arm], rewards[arm])
        shown.append(arm)
    return np.array(shown)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("holes", [True, False])
def test_a_run_is_the_plain_loop(shared: bool, holes: bool):
    data = table(shared=shared, holes=holes)
    trace = run(data, LinUCB(K, D, alpha=0.3))
    arms = by_hand(LinUCB(K, D, alpha=0.3), data)
    earned = data.rewards[np.arange(N), arms]
    assert np.array_equal(trace.arms, arms)
    assert np.array_equal(trace.rewards, earned) and np.array_equal(trace.mu, earned)
    best = np.where(data.available, data.rewards, -np.inf).max(axis=1)
    assert np.array_equal(trace.best, best) and (trace.regret >= 0).all()


def test_every_kind_of_policy_plays_a_table():
    data = table(shared=False)
    for policy in (
        LinUCB(K, D),
        SharedLinUCB(K, D),
        NeuralUCB(D, (4,)),
        EpsilonGreedy(LinUCB(K, D, alpha=0.0), 0.2),
        LateFeedback(LinUCB(K, D), 5),
        MostPopular(K),
        RandomPolicy(K),
    ):
        assert run(data, policy).arms.shape == (N,)


def test_a_policy_that_does_not_learn_draws_by_its_probabilities():
    rng = np.random.default_rng(1)
    rows, rewards = rng.standard_normal((6_000, D)), rng.random((6_000, K))
    offers = np.ones((6_000, K), dtype=bool)
    offers[:3_000, 0] = False
    trace = run(RewardTable(rows, rewards, offers), RandomPolicy(K))
    late = np.bincount(trace.arms[3_000:], minlength=K) / 3_000
    assert not (trace.arms[:3_000] == 0).any()
    assert np.abs(late - 1 / K).max() < 0.04
    chances = rng.random((500, K, 1))
    oracle = run(RewardTable(chances, chances[..., 0]), Oracle(K))
    assert oracle.regret.max() == 0


def test_many_tables_at_once_are_each_alone():
    worlds = [table(seed, shared=False) for seed in range(3)]  # no ties
    together = run(worlds, LinUCB(K, D, alpha=0.3, n_worlds=3))
    for alone, data in zip(together.rewards, worlds, strict=True):
        assert np.allclose(alone, run(data, LinUCB(K, D, alpha=0.3)).rewards)


def test_rounds_are_a_part_of_the_table():
    data = table()
    part = run(data, LinUCB(K, D), start=10, n=20)
    whole = run(data[10:30], LinUCB(K, D))
    assert np.array_equal(part.rewards, whole.rewards) and len(part.rewards) == 20
    assert len(run(data, LinUCB(K, D), start=50).arms) == 10
    for start, n in ((0, N + 1), (N, None), (50, 11), (0, 0), (0, 2.0)):
        with refuses("n"):
            run(data, LinUCB(K, D), start=start, n=n)


def test_a_shuffle_keeps_rounds_whole():
    data = table(holes=True)
    one, again, other = data.shuffled(3), data.shuffled(3), data.shuffled(4)
    assert np.array_equal(one.contexts, again.contexts)
    assert not np.array_equal(one.contexts, other.contexts)
    order = [np.flatnonzero((data.contexts == row).all(axis=1)).item() for row in one.contexts]
    assert sorted(order) == list(range(N))
    assert np.array_equal(one.rewards, data.rewards[order])
    assert np.array_equal(one.available, data.available[order])


def test_classes_and_lists_are_taken():
    labels = np.array([0, 2, 1, 1])
    data = RewardTable([[0], [2], [1], [1]], np.eye(3, dtype=bool)[labels])
    assert run(data, MostPopular(3)).rewards.shape == (4,)


def test_bad_tables_are_refused():
    rows, rewards = np.ones((N, D)), np.ones((N, K))
    for bad in (rows[:-1], rows[:, :0], rows[0], np.ones((N, K + 1, D)), np.nan * rows, "x", None):
        with refuses("contexts"):
            RewardTable(bad, rewards)
    for bad in (rewards[0], rewards[:0], rewards[:, :0], np.inf * rewards, [["a"]], None):
        with refuses("rewards"):
            RewardTable(rows, bad)
    offers = np.ones((N, K), dtype=bool)
    for bad in (offers[:-1], offers.astype(int), offers & False, offers[:, :-1]):
        with refuses("available"):
            RewardTable(rows, rewards, bad)


def test_what_is_no_world_is_refused():
    data, shop = table(), small_shop()
    for bad in (data.contexts, [], [data, shop], None, "world", 3):
        with pytest.raises((ValueError, TypeError), match=r"worlds|iterable"):
            run(bad, LinUCB(K, D))
    with refuses("featurizers"):
        run(data, LinUCB(K, D), featurizers=3)
    with refuses("featurizers"):
        run(shop, MostPopular(12), n=5)
    with refuses("worlds"):
        run([data, data[:5]], LinUCB(K, D, n_worlds=2))
    with refuses("worlds"):
        run([data, data], RandomPolicy(K, 2))
