import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.lab.experiment import run
from recsys.linear.forgetful_memory import DiscountedMemory, WindowMemory
from recsys.linear.linucb import (
    DiscountedLinUCB,
    LinearThompson,
    LinUCB,
    SharedLinUCB,
    SlidingWindowLinUCB,
)
from recsys.linear.memory import RidgeMemory, fresh_inverse
from recsys.linear.widths import LARGE
from recsys.policies.exploration import EpsilonGreedy
from recsys.policies.simple import RandomPolicy
from recsys.shop.features import JointFeatures, SharedUserFeatures
from recsys.shop.simulator import Shop
from strategies import (
    NOT_NUMBERS,
    few,
    never_shows_what_is_off_sale,
    refuses,
    refuses_bad_feedback,
    small_shop,
    snapshot,
    states_what_it_shows,
)

GAMMA, WINDOW = 0.9, 7  # short memories, so that a short stream leaves them

MAKERS: dict[str, Callable[..., LinUCB]] = {
    "linucb": LinUCB,
    "discounted": lambda *a, **k: DiscountedLinUCB(*a, gamma=GAMMA, **k),
    "window": lambda *a, **k: SlidingWindowLinUCB(*a, window=WINDOW, **k),
    "shared": SharedLinUCB,
    "shared discounted": lambda *a, **k: SharedLinUCB(*a, gamma=GAMMA, **k),
    "shared window": lambda *a, **k: SharedLinUCB(*a, window=WINDOW, **k),
    "thompson": LinearThompson,
}
lost_digits = pytest.mark.filterwarnings("ignore::recsys.checks.PrecisionWarning")
every_policy = pytest.mark.parametrize("name", MAKERS)
disjoint = pytest.mark.parametrize("name", [name for name in MAKERS if "shared" not in name])

Round = tuple[int, np.ndarray, float]  # arm, row, reward


def textbook(name: str, rounds: list[Round], arm: int, d: int, ridge: float) -> tuple:
    """Return θ̂, V⁻¹ and the matrix of the squared width of one arm, from all rounds anew."""
    V, V2, b = ridge * np.eye(d), ridge * np.eye(d), np.zeros(d)
    for age, (played, x, reward) in enumerate(reversed(rounds)):
        if ("shared" not in name and played != arm) or ("window" in name and age >= WINDOW):
            continue
        weight = GAMMA**age if "discounted" in name else 1.0
        V = V + weight * np.outer(x, x)
        V2 = V2 + weight**2 * np.outer(x, x)
        b = b + weight * reward * x
    inverse = np.linalg.inv(V)
    square = inverse @ V2 @ inverse if "discounted" in name else inverse
    return np.linalg.solve(V, b), inverse, square


def textbook_ucb(
    name: str, rounds: list[Round], rows: np.ndarray, alpha: float, ridge: float
) -> np.ndarray:
    """Return the score of every arm by explicit inversion."""
    scores = []
    for arm, x in enumerate(rows):
        theta, _, square = textbook(name, rounds, arm, len(x), ridge)
        scores.append(theta @ x + alpha * np.sqrt(x @ square @ x))
    return np.array(scores)


def random_rounds(rng: np.random.Generator, n: int, k: int, d: int) -> list[Round]:
    """Return rounds that never play the last of several arms."""
    arms = rng.integers(0, max(1, k - 1), n)
    return [(int(a), rng.standard_normal(d), float(rng.normal())) for a in arms]


def teach(policy: LinUCB, rounds: list[Round]) -> LinUCB:
    for arm, x, reward in rounds:
        policy.update(arm, x, reward)
    return policy


def example(
    name: str, worlds: int | None = None, k: int = 5, d: int = 3, **settings: float
) -> LinUCB:
    """Return a policy that has learnt something in every world."""
    policy = MAKERS[name](k, d, n_worlds=worlds, rng=np.random.default_rng(1), **settings)
    rng, shape = np.random.default_rng(2), () if worlds is None else (worlds,)
    for _ in range(30):
        rows, rewards = rng.standard_normal((*shape, d)), rng.random(shape)
        policy.update(rng.integers(0, k, shape), rows, rewards)
    return policy


# ---------------------------------------------------------------------- against the textbook


@every_policy
@few
@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 5),
    d=st.integers(1, 5),
    n=st.integers(0, 40),
    alpha=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    ridge=st.sampled_from([0.05, 0.3, 1.0, 3.0, 20.0]),
)
def test_ucb_is_the_formula_by_explicit_inversion(
    name: str, seed: int, k: int, d: int, n: int, alpha: float, ridge: float
):
    rng = np.random.default_rng(seed)
    policy = MAKERS[name](k, d, alpha=alpha, ridge=ridge)
    rounds = random_rounds(rng, n, k, d)
    for done in range(n + 1):
        if done in (0, 1, n // 2, n):
            rows = rng.standard_normal((k, d))
            expected = textbook_ucb(name, rounds[:done], rows, alpha, ridge)
            assert np.abs(policy.ucb(rows) - expected).max() < 1e-8
        if done < n:
            policy.update(*rounds[done])
    if "shared" in name:
        theta, inverse, _ = textbook(name, rounds, 0, d, ridge)
    else:
        both = [textbook(name, rounds, arm, d, ridge)[:2] for arm in range(k)]
        theta, inverse = (np.stack(part) for part in zip(*both, strict=True))
    assert policy.theta.shape == theta.shape
    assert policy.A_inv.shape == inverse.shape
    assert np.abs(policy.theta - theta).max() < 1e-8
    assert np.abs(policy.A_inv - inverse).max() < 1e-8


def test_an_update_worked_out_by_hand():
    policy = LinUCB(2, 2, alpha=2.0, ridge=4.0)
    assert policy.ucb([3.0, 4.0]).tolist() == [5.0, 5.0]  # 2 · 5 / √4
    policy.update(1, [2.0, 0.0], 3.0)
    assert np.allclose(policy.A_inv[1], [[1 / 8, 0], [0, 1 / 4]])
    assert np.allclose(policy.theta, [[0, 0], [3 / 4, 0]])
    assert np.allclose(policy.ucb([1.0, 2.0]), [np.sqrt(5), 3 / 4 + 2 * np.sqrt(9 / 8)])


@every_policy
def test_ucb_changes_nothing_and_involves_no_chance(name: str):
    policy, rows = example(name), np.random.default_rng(3).standard_normal((5, 3))
    before = snapshot(policy)
    assert np.array_equal(policy.ucb(rows), policy.ucb(rows))
    assert snapshot(policy) == before


@disjoint
@pytest.mark.parametrize("worlds", [None, 1, 4])
@pytest.mark.parametrize("k", [1, 5])
def test_a_row_shared_by_all_arms_is_that_row_for_each(name: str, worlds: int | None, k: int):
    policy = example(name, worlds, k=k)
    shape = () if worlds is None else (worlds,)
    row = np.random.default_rng(3).standard_normal((*shape, 3))
    each = np.repeat(row[..., None, :], k, axis=-2)
    assert policy.ucb(row).shape == (*shape, k)
    assert np.allclose(policy.ucb(row), policy.ucb(each), rtol=0, atol=1e-12)
    arms = policy.select(row)
    assert type(arms) is int if worlds is None else arms.shape == (worlds,)


@every_policy
@few
@given(seed=st.integers(0, 10_000), k=st.integers(1, 4), d=st.integers(1, 4))
def test_many_worlds_are_one_policy_in_each(name: str, seed: int, k: int, d: int):
    rng = np.random.default_rng(seed)
    together = MAKERS[name](k, d, 0.7, 0.4, n_worlds=3)
    alone = [MAKERS[name](k, d, 0.7, 0.4) for _ in range(3)]
    for _ in range(25):
        arms, rewards = rng.integers(0, k, 3), rng.standard_normal(3)
        rows = rng.standard_normal((3, k, d))
        scores = together.ucb(rows)
        assert scores.shape == (3, k)
        assert np.allclose(scores, [p.ucb(r) for p, r in zip(alone, rows, strict=True)], atol=1e-9)
        played = rows[np.arange(3), arms]
        together.update(arms, played, rewards)
        for world, policy in enumerate(alone):
            policy.update(int(arms[world]), played[world], float(rewards[world]))
    assert np.allclose(together.theta, [p.theta for p in alone], atol=1e-9)
    assert np.allclose(together.A_inv, [p.A_inv for p in alone], atol=1e-9)


@every_policy
def test_leading_axes_of_rows_are_visits_served_in_bulk(name: str):
    policy, rows = example(name), np.random.default_rng(3).standard_normal((2, 4, 5, 3))
    scores = policy.ucb(rows)
    assert scores.shape == (2, 4, 5)
    assert np.allclose(scores[1, 2], policy.ucb(rows[1, 2]), atol=1e-12)


@pytest.mark.parametrize("name", ["linucb", "discounted", "window"])
def test_every_arm_shown_is_optimal_by_what_was_known_before_its_reward(name: str):
    shop = small_shop(4, base_logit=-1.0)
    makers, n = SharedUserFeatures(shop), 120
    policy = MAKERS[name](12, makers.n_features, alpha=0.8, ridge=0.5)
    trace = run(shop, policy, makers, 0, n)
    rows, rounds = makers(shop.visits(0, n)), []
    for t in range(n):
        scores = textbook_ucb(name, rounds, np.tile(rows[t], (12, 1)), 0.8, 0.5)
        assert scores[trace.arms[t]] > scores.max() - 1e-8
        rounds.append((int(trace.arms[t]), rows[t], float(trace.rewards[t])))
    assert len(set(trace.arms)) > 6


@every_policy
@pytest.mark.parametrize("worlds", [None, 2])
def test_what_one_agent_learns_no_other_agent_knows(name: str, worlds: int | None):
    shape = () if worlds is None else (worlds,)
    bystander, learner = (MAKERS[name](5, 3, n_worlds=worlds) for _ in range(2))
    before = snapshot(bystander)
    assert snapshot(learner) == before
    for _ in range(3):
        learner.select(np.ones((*shape, 5, 3)))
        learner.update(np.full(shape, 2), np.ones((*shape, 3)), np.ones(shape))
    newcomer = MAKERS[name](5, 3, n_worlds=worlds)
    assert snapshot(learner) != before
    assert snapshot(bystander) == snapshot(newcomer) == before


def test_only_forgetting_makes_the_order_of_the_rounds_matter():
    rng = np.random.default_rng(0)
    rounds = random_rounds(rng, 30, 4, 3)
    rows = rng.standard_normal((4, 3))
    for name, make in MAKERS.items():
        there, back = teach(make(4, 3), rounds), teach(make(4, 3), rounds[::-1])
        same = np.allclose(there.ucb(rows), back.ucb(rows), atol=1e-10)
        assert same == (not name.endswith(("discounted", "window")))


# ---------------------------------------------------------------------- choosing


@every_policy
def test_arms_about_which_nothing_is_known_are_shown_uniformly(name: str):
    policy = MAKERS[name](5, 3, rng=np.random.default_rng(5))
    counts = np.bincount(policy.select(np.tile([1.0, 2.0, 3.0], (10_000, 5, 1))), minlength=5)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_arms_with_the_same_history_tie_and_the_policys_own_generator_decides():
    def play(seed: int) -> list[int]:
        policy = LinUCB(4, 2, rng=np.random.default_rng(seed))
        for arm in (1, 3):
            policy.update(arm, [1.0, 0.5], 2.0)
        return [policy.select([1.0, 1.0]) for _ in range(400)]

    assert play(0) == play(0) != play(1)
    counts = np.bincount(play(0), minlength=4)
    assert counts[0] == counts[2] == 0
    assert stats.chisquare(counts[[1, 3]]).pvalue > 1e-3


@every_policy
@few
@given(data=st.data(), worlds=st.sampled_from([None, 3]))
def test_an_arm_off_sale_is_never_shown(name: str, data: st.DataObject, worlds: int | None):
    never_shows_what_is_off_sale(example(name, worlds), data, worlds)


def test_without_width_the_greedy_policy_is_left():
    greedy, rows = (
        example("linucb", alpha=0.0),
        np.random.default_rng(3).standard_normal((50, 5, 3)),
    )
    assert np.allclose(greedy.ucb(rows), (greedy.theta * rows).sum(axis=-1))
    assert np.array_equal(greedy.select(rows), (greedy.theta * rows).sum(axis=-1).argmax(axis=-1))


@pytest.mark.parametrize("worlds", [None, 3])
def test_epsilon_greedy_goes_around_linucb(worlds: int | None):
    shape = () if worlds is None else (worlds,)
    policy = EpsilonGreedy(example("linucb", worlds, alpha=0.0), 0.4, np.random.default_rng(6))
    assert policy.learns
    row = np.random.default_rng(3).standard_normal((*shape, 3))
    best = np.asarray(policy.policy.ucb(row).argmax(axis=-1))
    shown = np.array([policy.select(row) for _ in range(2_000)])  # (2000, ...)
    expected = 2_000 * np.where(np.arange(5) == best[..., None], 0.68, 0.08)
    assert np.allclose(2_000 * policy.probabilities(row), expected)
    for world in np.ndindex(shape):
        counts = np.bincount(shown[(slice(None), *world)], minlength=5)
        assert stats.chisquare(counts, expected[world]).pvalue > 1e-3
    before = policy.policy.theta.copy()
    policy.update(best, row, np.ones(shape))
    assert not np.array_equal(policy.policy.theta, before)


# ---------------------------------------------------------------------- Thompson sampling


def test_a_draw_has_the_mean_and_the_variance_of_the_posterior():
    policy, n = example("thompson", alpha=0.6, ridge=0.5), 20_000
    rows = np.random.default_rng(3).standard_normal((5, 3))
    draws = policy.scores(np.tile(rows, (n, 1, 1)))  # (n, 5)
    mean = np.array([t @ x for t, x in zip(policy.theta, rows, strict=True)])
    var = 0.36 * np.array([x @ m @ x for m, x in zip(policy.A_inv, rows, strict=True)])
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * np.sqrt(var / n)).all()
    assert (np.abs(draws.var(axis=0) / var - 1) < 4 * np.sqrt(2 / n)).all()
    for arm in range(5):
        assert stats.kstest((draws[:, arm] - mean[arm]) / np.sqrt(var[arm]), "norm").pvalue > 1e-3
    correlation = np.corrcoef(draws.T)[np.triu_indices(5, 1)]
    assert (np.abs(correlation) < 4 / np.sqrt(n)).all()


def test_drawing_scores_shows_arms_as_often_as_drawing_vectors():
    policy, n = example("thompson", alpha=0.6), 20_000
    row, rng = np.array([0.4, -1.0, 0.7]), np.random.default_rng(8)
    vectors = [
        rng.multivariate_normal(t, 0.36 * m, n)
        for t, m in zip(policy.theta, policy.A_inv, strict=True)
    ]
    by_vectors = np.bincount((np.stack(vectors, 1) @ row).argmax(axis=1), minlength=5)
    by_scores = np.bincount(policy.select(np.tile(row, (n, 5, 1))), minlength=5)
    assert by_vectors.min() > 50
    assert stats.chi2_contingency([by_vectors, by_scores]).pvalue > 1e-3


@pytest.mark.parametrize("mask", [np.ones(5, dtype=bool), np.array([1, 0, 1, 1, 0], dtype=bool)])
def test_thompson_states_the_probability_of_what_it_shows(mask: np.ndarray):
    states_what_it_shows(example("thompson", alpha=0.6), mask)


def test_two_arms_win_with_the_probability_of_a_difference_of_normals():
    policy = LinearThompson(2, 1, alpha=0.5)
    policy.update(0, [3.0], 1.0)  # θ̂ = 0.3, A⁻¹ = 0.1 against 0 and 1
    expected = stats.norm.cdf(0.3 / np.sqrt(0.25 * 1.1))
    assert policy.probabilities([1.0])[0] == pytest.approx(expected, abs=1e-3)
    for _ in range(40):
        policy.update(0, [30.0], 9.0)  # a draw that is nearly sure against one that is not
    expected = stats.norm.cdf(policy.theta[0, 0] / 0.5)
    assert policy.probabilities([1.0])[0] == pytest.approx(expected, abs=1e-3)


def test_thompson_without_width_is_greedy_and_its_ties_are_fair():
    policy, rows = example("thompson", alpha=0.0), np.random.default_rng(3).standard_normal((5, 3))
    best = (policy.theta * rows).sum(axis=-1).argmax()
    assert policy.select(rows) == best
    assert policy.probabilities(rows)[best] == pytest.approx(1.0)
    assert np.allclose(LinearThompson(4, 2, alpha=0.0).probabilities([1.0, 2.0]), 0.25)


# ---------------------------------------------------------------------- forgetting


@few
@given(seed=st.integers(0, 10_000), alpha=st.floats(0, 3), ridge=st.sampled_from([0.2, 1.0, 5.0]))
def test_discount_one_and_an_endless_window_forget_nothing(seed: int, alpha: float, ridge: float):
    rng = np.random.default_rng(seed)
    rounds, rows = random_rounds(rng, 60, 4, 3), rng.standard_normal((4, 3))
    expected = teach(LinUCB(4, 3, alpha, ridge), rounds)
    for other in (
        DiscountedLinUCB(4, 3, alpha, ridge, gamma=1.0),
        SlidingWindowLinUCB(4, 3, alpha, ridge, window=60),
    ):
        teach(other, rounds)
        assert np.allclose(other.ucb(rows), expected.ucb(rows), rtol=0, atol=1e-9)
        assert np.allclose(other.A_inv, expected.A_inv, rtol=0, atol=1e-9)


@few
@given(seed=st.integers(0, 10_000), gamma=st.sampled_from([0.5, 0.9, 0.999, 1.0]))
def test_fading_when_asked_is_fading_in_every_round(seed: int, gamma: float):
    rng, k, d, alpha, ridge = np.random.default_rng(seed), 4, 3, 1.3, 0.7
    policy = DiscountedLinUCB(k, d, alpha, ridge, gamma=gamma)
    eye = np.eye(d)
    V, V2, b = np.tile(ridge * eye, (k, 1, 1)), np.tile(ridge * eye, (k, 1, 1)), np.zeros((k, d))
    for arm, x, reward in random_rounds(rng, 80, k, d):
        V = gamma * V + (1 - gamma) * ridge * eye  # every arm, every round
        V2 = gamma**2 * V2 + (1 - gamma**2) * ridge * eye
        b = gamma * b
        V[arm] += np.outer(x, x)
        V2[arm] += np.outer(x, x)
        b[arm] += reward * x
        policy.update(arm, x, reward)
        rows = rng.standard_normal((k, d))
        inverse = np.linalg.inv(V)
        square = inverse @ V2 @ inverse
        expected = [
            row @ inverse[a] @ b[a] + alpha * np.sqrt(row @ square[a] @ row)
            for a, row in enumerate(rows)
        ]
        assert np.allclose(policy.ucb(rows), expected, rtol=0, atol=1e-9)


def test_the_discount_reaches_arms_that_are_not_shown():
    policy, x = DiscountedLinUCB(2, 2, ridge=2.0, gamma=0.9), np.array([3.0, 1.0])
    policy.update(0, x, 1.0)
    widths = []
    for n in range(1, 60):
        policy.update(1, np.array([1.0, -1.0]), 0.0)
        V = 2.0 * np.eye(2) + 0.9**n * np.outer(x, x)
        assert np.allclose(policy.A_inv[0], np.linalg.inv(V), atol=1e-12)
        assert np.allclose(policy.theta[0], 0.9**n * np.linalg.solve(V, x), atol=1e-12)
        widths.append(policy.ucb(x)[0] - policy.theta[0] @ x)
    assert (np.diff(widths) > 0).all()  # ever less sure ...
    assert widths[-1] == pytest.approx(np.sqrt(x @ x / 2.0), rel=0.02)  # ... up to the start


def test_an_arm_faded_for_ages_is_new_again():
    policy = DiscountedLinUCB(2, 2, ridge=2.0, gamma=0.01)
    policy.update(0, [1.0, 2.0], 1.0)
    for _ in range(400):
        policy.update(1, [1.0, 0.0], 0.0)
    assert np.array_equal(policy.ucb([1.0, 1.0])[:1], LinUCB(2, 2, ridge=2.0).ucb([1.0, 1.0])[:1])


@few
@given(seed=st.integers(0, 10_000), window=st.integers(1, 12), n=st.integers(0, 40))
def test_a_window_knows_what_a_newcomer_learns_from_the_last_rounds(seed: int, window: int, n: int):
    rng = np.random.default_rng(seed)
    rounds, rows = random_rounds(rng, n, 4, 3), rng.standard_normal((4, 3))
    policy = teach(SlidingWindowLinUCB(4, 3, 0.9, 0.3, window=window), rounds)
    newcomer = teach(LinUCB(4, 3, 0.9, 0.3), rounds[-window:])
    assert np.allclose(policy.ucb(rows), newcomer.ucb(rows), rtol=0, atol=1e-9)
    assert np.allclose(policy.A_inv, newcomer.A_inv, rtol=0, atol=1e-9)


@pytest.mark.parametrize("ridge", [0.7, 1.0, 3.0, 1e-3])
@pytest.mark.parametrize("worlds", [None, 2])
def test_an_arm_not_shown_in_the_window_is_exactly_as_at_the_start(
    ridge: float, worlds: int | None
):
    policy = SlidingWindowLinUCB(3, 4, ridge=ridge, n_worlds=worlds, window=20)
    others = [0, 2]
    start, rng = snapshot(policy.A_inv[..., others, :, :]), np.random.default_rng(0)
    shape = () if worlds is None else (worlds,)
    for arm in [0] * 15 + [1] * 19:
        policy.update(np.full(shape, arm), rng.standard_normal((*shape, 4)), np.ones(shape))
    assert (policy.theta[..., 0, :] != 0).all()  # one of its rounds is still in the window
    policy.update(np.full(shape, 1), rng.standard_normal((*shape, 4)), np.ones(shape))
    assert snapshot(policy.A_inv[..., others, :, :]) == start
    assert not policy.theta[..., others, :].any()


@pytest.mark.parametrize("worlds", [None, 2])
def test_taking_rows_out_for_long_loses_no_digits(worlds: int | None):
    d, window, shape = 6, 50, () if worlds is None else (worlds,)
    policy = SlidingWindowLinUCB(3, d, ridge=0.1, n_worlds=worlds, window=window)
    rng, scales = np.random.default_rng(0), np.logspace(-2, 2, d)
    kept = []
    for t in range(6_000):
        x = rng.standard_normal((*shape, d)) * scales * 10.0 ** rng.integers(-1, 2)
        kept = [*kept[1 - window :], (rng.integers(0, 3, shape), x, rng.random(shape))]
        policy.update(*kept[-1])
        if t % 499 == 0:
            for place in np.ndindex(*shape, 3):
                *world, arm = place
                A = 0.1 * np.eye(d)
                for arms, row, _ in kept:
                    if arms[tuple(world)] == arm:
                        A += np.outer(row[tuple(world)], row[tuple(world)])
                assert np.abs(policy.A_inv[place] @ A - np.eye(d)).max() < 1e-6


# ---------------------------------------------------------------------- drift


@lost_digits
@pytest.mark.parametrize("ridge", [1.0, 1e-3])
def test_no_drift_after_100_000_badly_scaled_updates(ridge: float):
    rng, d, n = np.random.default_rng(0), 9, 100_000
    mixing = rng.standard_normal((d, d))  # features of sizes 1e-3 to 1e3 that are correlated
    rows = (rng.standard_normal((n, d)) @ mixing) * np.logspace(-3, 3, d)
    policy = LinUCB(2, d, ridge=ridge)
    for x in rows:
        policy.update(1, x, 1.0)
    A = ridge * np.eye(d) + rows.T @ rows
    assert np.abs(A @ policy.A_inv[1] - np.eye(d)).max() < 1e-6
    scale = np.sqrt(np.diag(A))
    fresh = np.linalg.inv(A / np.outer(scale, scale)) / np.outer(scale, scale)
    assert np.abs(policy.A_inv[1] / fresh - 1).max() < 1e-8
    assert np.array_equal(policy.A_inv[1], policy.A_inv[1].T)
    assert np.array_equal(policy.A_inv[0], np.eye(d) / ridge)


@lost_digits
@pytest.mark.parametrize("worlds", [None, 2])
def test_the_first_badly_scaled_rows_are_not_subtracted_away(worlds: int | None):
    rng, d, shape = np.random.default_rng(0), 9, () if worlds is None else (worlds,)
    mixing = rng.standard_normal((d, d))
    policy = LinUCB(1, d, ridge=1e-3, n_worlds=worlds)
    A = np.broadcast_to(1e-3 * np.eye(d), (*shape, d, d))
    for _ in range(20):
        x = (rng.standard_normal((*shape, d)) @ mixing) * np.logspace(-3, 3, d)
        policy.update(np.zeros(shape, dtype=int), x, np.ones(shape))
        A = A + x[..., :, None] * x[..., None, :]
    assert np.abs(A @ policy.A_inv[..., 0, :, :] - np.eye(d)).max() < 1e-6  # 4e-3 by the formula


def test_age_alone_brings_a_fresh_inverse():
    memory = RidgeMemory(2, 2)
    memory._inverse[1] += 1e-3  # an error, as rounding might make it
    for n in range(1, memory.refresh_every + 1):
        memory.add(np.array(1), np.array([0.0, 0.0]), np.array(0.0))
        exact = np.abs(memory.A_inv[1] - np.eye(2)).max() < 1e-12
        assert exact == (n == memory.refresh_every)


def test_a_window_is_summed_again_before_it_is_old():
    memory, rng, rows = WindowMemory(1, 2, window=30), np.random.default_rng(0), []
    for n in range(200):
        if n == 100:
            memory._sums.sums += 1e-3  # errors, as rounding might make them
            memory._inverse += 1e-3
            memory.b[...] += 1e-3
        rows.append(rng.uniform(-1, 1, 2))
        memory.add(np.array(0), rows[-1], np.array(1.0))
        if n < 100 or n >= 164:
            last = np.array(rows[-30:])
            A = np.eye(2) + last.T @ last
            assert np.abs(memory.A_inv[0] @ A - np.eye(2)).max() < 1e-12
            assert np.abs(memory.theta[0] - np.linalg.solve(A, last.sum(axis=0))).max() < 1e-12


@lost_digits
@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("d", [1, 2])
def test_a_row_that_outweighs_all_digits_leaves_without_a_trace(window: int, d: int):
    policy, x = SlidingWindowLinUCB(2, d, window=window), np.arange(1.0, d + 1)
    policy.update(0, np.full(d, 1e9), 1.0)
    for _ in range(window):
        policy.update(0, x, 1.0)
    A = np.eye(d) + window * np.outer(x, x)
    assert np.allclose(policy.A_inv[0], np.linalg.inv(A), rtol=0, atol=1e-12)
    assert np.allclose(policy.theta[0], np.linalg.solve(A, window * x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda policy: pickle.loads(pickle.dumps(policy))]
)
@pytest.mark.parametrize("kind", [LinUCB, SlidingWindowLinUCB, DiscountedLinUCB])
@pytest.mark.parametrize("n_arms", [3, LARGE // 16 + 1])
def test_a_copy_goes_on_as_the_original_does(kind: type[LinUCB], n_arms: int, copied: Callable):
    original, rng = kind(n_arms, 4), np.random.default_rng(0)
    for n in range(12):
        original.update(n % 3, rng.standard_normal(4), 1.0)
    other, rows = copied(original), rng.standard_normal((12, 4))
    for policy in (original, other):
        for n, row in enumerate(rows):
            policy.update(n % 3, row, 0.5)
    assert np.array_equal(original.ucb(rows[0]), other.ucb(rows[0]))
    assert np.array_equal(original.A_inv, other.A_inv)
    assert np.array_equal(original.theta, other.theta)


@lost_digits
def test_what_rounding_makes_negative_counts_as_zero():
    memory, fading = RidgeMemory(1, 2), DiscountedMemory(1, 2)
    memory._inverse[0] = [1.0, 1.0, 1.0 - 1e-12]
    fading._spread[0] = -2.0 * np.eye(2)
    for each in (memory, fading):
        for row in ([1.0, -1.0], [[1.0, -1.0]]):
            assert each.estimates(np.array(row))[1].tolist() == [0.0]
    for seed in range(20):
        policy, x = DiscountedLinUCB(1, 3, ridge=1e-12), np.random.default_rng(seed).random(3)
        policy.update(0, 1e6 * x, 1.0)  # G has rank one: two eigenvalues are rounding errors
        assert np.linalg.eigvalsh(policy.A_inv[0] / np.abs(policy.A_inv[0]).max()).min() > -1e-9


def test_a_fresh_inverse_is_an_inverse_and_exact_for_the_start():
    rng = np.random.default_rng(0)
    for d in (1, 2, 5, 30):
        half = rng.standard_normal((d, 2 * d))
        A, scale = half @ half.T, np.logspace(-5, 5, d)
        assert np.allclose(fresh_inverse(A), np.linalg.inv(A), rtol=1e-9)
        scaled = fresh_inverse(A * np.outer(scale, scale)) * np.outer(scale, scale)
        assert np.allclose(scaled, np.linalg.inv(A), rtol=1e-9, atol=1e-9)
        assert np.array_equal(fresh_inverse(A), fresh_inverse(A).T)
    for ridge in (1e-12, 0.3, 1.0, 7.0, 1e9):
        assert np.array_equal(fresh_inverse(ridge * np.eye(4)), np.eye(4) / ridge)


@lost_digits
def test_a_matrix_that_rounding_made_singular_still_gives_finite_widths():
    policy = LinUCB(1, 3, ridge=1e-12)
    for _ in range(1_100):
        policy.update(0, [1e5, 1e5, 1e5], 1.0)
    assert np.isfinite(policy.ucb([1.0, -1.0, 0.5])).all()
    assert np.isfinite(policy.ucb([1e5, 1e5, 1e5])).all()


# ---------------------------------------------------------------------- in the shop


@every_policy
def test_learning_earns_more_than_chance(name: str):
    shop, n = Shop(seed=2), 3_000
    makers = JointFeatures(shop) if "shared" in name else SharedUserFeatures(shop)
    forgetting = {"discounted": {"gamma": 0.9995}, "window": {"window": 2_500}}
    memory = forgetting.get(name.removeprefix("shared "), {})
    kinds = {"discounted": DiscountedLinUCB, "window": SlidingWindowLinUCB}
    make = SharedLinUCB if "shared" in name else kinds.get(name, MAKERS[name])
    policy = make(50, makers.n_features, 0.2, rng=shop.policy_rng(name), **memory)
    learnt = run(shop, policy, makers, 0, n)
    chance = run(shop, RandomPolicy(50, rng=shop.policy_rng("random")), JointFeatures(shop), 0, n)
    late = slice(n // 2, n)
    assert learnt.mu[late].mean() > 1.15 * chance.mu[late].mean()


def test_shops_played_together_are_shops_played_alone():
    shops = [small_shop(seed, base_logit=-1.0) for seed in range(3)]
    makers = [SharedUserFeatures(shop) for shop in shops]
    d = makers[0].n_features
    opening = np.random.default_rng(0).standard_normal((12, d))  # no ties: chance has no say
    joint = LinUCB(12, d, alpha=0.5, n_worlds=3)
    for arm, row in enumerate(opening):
        joint.update(np.full(3, arm), np.tile(row, (3, 1)), np.ones(3))
    together = run(shops, joint, makers, 0, 150)
    for world, shop in enumerate(shops):
        policy = LinUCB(12, d, alpha=0.5)
        for arm, row in enumerate(opening):
            policy.update(arm, row, 1.0)
        alone = run(shop, policy, makers[world], 0, 150)
        assert np.array_equal(together.arms[world], alone.arms)


def test_what_one_arm_teaches_the_shared_model_holds_for_all():
    policy, rows = SharedLinUCB(3, 2), np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    before = policy.ucb(rows)
    policy.update(0, rows[0], 1.0)
    assert policy.ucb(rows)[1] != before[1]
    other = SharedLinUCB(3, 2)
    other.update(2, rows[0], 1.0)  # whose row it was does not matter
    assert np.array_equal(policy.A_inv, other.A_inv)
    assert np.array_equal(policy.theta, other.theta)
    for worlds, shape in ((None, (2,)), (4, (4, 2))):
        with refuses("contexts"):
            SharedLinUCB(3, 2, n_worlds=worlds).select(np.ones(shape))


# ---------------------------------------------------------------------- bad input


@every_policy
@pytest.mark.parametrize("worlds", [None, 2])
def test_bad_contexts_are_refused(name: str, worlds: int | None):
    policy, lead = example(name, worlds), () if worlds is None else (worlds,)
    bad = [np.ones((*lead, *shape)) for shape in ((), (4,), (2,), (5, 4), (5, 2), (4, 3), (6, 3))]
    bad += [np.ones((7, 5, 3))] if worlds else []
    for value in (np.nan, np.inf, -np.inf, 1e200):
        rows = np.ones((*lead, 5, 3))
        rows[..., 3, 1] = value
        bad.append(rows)
    for contexts in [*bad, "row", None, [["a"] * 3] * 5]:
        for verb in (policy.select, policy.ucb, policy.probabilities):
            with refuses("contexts", policy):
                verb(contexts)


@lost_digits
@every_policy
@pytest.mark.parametrize("worlds", [None, 2])
def test_bad_feedback_is_refused(name: str, worlds: int | None):
    policy, lead = example(name, worlds), () if worlds is None else (worlds,)
    refuses_bad_feedback(policy, worlds, no_arms=(5, 10**6))
    arm, row, reward = np.full(lead, 2), np.ones((*lead, 3)), np.ones(lead)
    policy.update(arm, 1e20 * row, reward)  # large, yet a number to reckon with
    assert np.isfinite(policy.ucb(np.ones((*lead, 5, 3)))).all()


@every_policy
def test_settings_outside_their_range_are_refused(name: str):
    make = MAKERS[name]
    for value in (0, -1, 2.0, True, "3", np.nan, None):
        with refuses("n_arms"):
            make(value, 3)
        with refuses("n_features"):
            make(3, value)
    for value in (0, -1, 2.0, True, "3"):
        with refuses("n_worlds"):
            make(3, 3, n_worlds=value)
    for value in (-0.1, *NOT_NUMBERS):
        with refuses("alpha"):
            make(3, 3, alpha=value)
    for value in (0.0, -1.0, 1e-13, *NOT_NUMBERS):
        with refuses("ridge"):
            make(3, 3, ridge=value)


def test_how_to_forget_is_checked():
    for value in (0.0, -0.5, 1.001, *(v for v in NOT_NUMBERS)):
        with refuses("gamma"):
            DiscountedLinUCB(3, 3, gamma=value)
    for value in (0, -1, 2.0, *NOT_NUMBERS):
        with refuses("window"):
            SlidingWindowLinUCB(3, 3, window=value)


def test_every_policy_here_learns():
    assert all(make(2, 2).learns is True for make in MAKERS.values())
