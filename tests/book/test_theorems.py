"""Numerical twins of the numbered results: each test carries the label of the result it tries."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import dblquad, quad
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom, multivariate_normal
from torch.utils.flop_counter import FlopCounterMode

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train
from recsys.baseline.logistic import LogisticPolicy
from recsys.baseline.training import Training
from recsys.cost.scaling import power_exponents
from recsys.gradients.backprop import gradient_factors
from recsys.gradients.jacobian import per_arm_gradients
from recsys.gradients.mlp import Scale
from recsys.lab.experiment import run
from recsys.lab.metrics import (
    excess_loss,
    expected_log_loss,
    ips_rates,
    irreducible_loss,
    naive_rates,
)
from recsys.linear.linucb import SharedLinUCB
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.dual_memory import DualMemory, KernelMemory
from recsys.neural.growing import GrowingCholesky
from recsys.neural.memory import FullMemory
from recsys.neural.network import score_network
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.schedule import Schedule
from recsys.policies.simple import MostPopular, Oracle, RandomPolicy
from recsys.shop.features import Identifiers, ObservedFeatures, Truth
from recsys.shop.simulator import Shop
from strategies import few, plain_gradients, random_mlp

probability = st.floats(0.0, 1.0)
inner = st.floats(1e-6, 1 - 1e-6)
seeds = st.integers(0, 10_000)
sizes = st.integers(1, 5)


# ------------------------------------------------ chapter 1


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(seed=5)


def _audience(shop: Shop, policy: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visit probabilities (U,), click probabilities (U, K) and propensities (U, K) of the log."""
    users = np.arange(shop.n_users)
    mu = shop.click_probability(users[:, None], np.arange(shop.n_products))
    return shop.visit_probabilities(shop.now), mu, shop.logging_propensities(users)


def test_prop_ips_naive_limit_is_value_plus_covariance():
    shop = Shop(seed=5)
    weights, mu, propensity = _audience(shop, "log")
    value, shown = weights @ mu, weights @ propensity
    covariance = weights @ (propensity * mu) - shown * value
    n = 400_000
    naive = naive_rates(shop.log(n), shop.n_products)
    limit = value + covariance / shown
    deviation = np.sqrt(limit * (1 - limit) / (n * shown))  # of a click rate in n * shown visits
    assert np.abs((naive - limit) / deviation).max() < 4.5
    assert np.abs((naive - value) / deviation).max() > 20  # the bias itself is no matter of chance


def test_prop_ips_is_unbiased_with_the_stated_variance():
    shop = Shop(seed=5)
    weights, mu, propensity = _audience(shop, "log")
    value = weights @ mu
    n, logs = 4_000, 300
    estimates = np.stack([ips_rates(shop.log(n), shop.n_products) for _ in range(logs)])
    variance = (weights @ (mu / propensity) - value**2) / n
    z = (estimates.mean(axis=0) - value) / np.sqrt(variance / logs)
    assert np.abs(z).max() < 4.5
    assert np.median(estimates.var(axis=0, ddof=1) / variance) == pytest.approx(1, abs=0.1)


def test_prop_ips_means_leave_the_shrinking_band_as_seldom_as_the_proof_says():
    n, first, sequences = 2_000, 20, 1_000
    counts = (np.random.default_rng(0).random((sequences, n)) < 0.3).cumsum(axis=1)
    t = np.arange(1, n + 1)
    outside = np.abs(counts / t - 0.3) > np.sqrt(np.log(t) / t)
    assert outside[:, first - 1 :].any(axis=1).mean() <= (2 / t[first - 1 :] ** 2).sum()
    assert outside.any()  # the band is not so wide that nothing ever leaves it


@pytest.mark.parametrize("lowest", [1e-2, 1e-4, 1e-8])
def test_prop_ips_variance_has_its_bound_and_grows_without_one(lowest: float):
    # x uniform on [lowest, 1], the product shown with probability x, clicked with 1/2
    width, value = 1 - lowest, 0.5
    second = quad(lambda x: value / x / width, lowest, 1, points=np.geomspace(lowest, 1, 9))[0]
    assert second == pytest.approx(value * np.log(1 / lowest) / width)  # infinite for lowest = 0
    n, logs, rng = 50, 4_000, np.random.default_rng(1)
    x = rng.uniform(lowest, 1, (logs, n))
    shown, clicked = rng.random((logs, n)) < x, rng.random((logs, n)) < value
    estimates = np.where(shown & clicked, 1 / x, 0).mean(axis=1)
    assert np.mean(estimates) == pytest.approx(value, abs=4.5 * np.sqrt(second / n / logs))
    assert second - value**2 <= value / lowest
    if lowest == 1e-2:  # else the variance is that of events too rare for these logs
        assert np.var(estimates) == pytest.approx((second - value**2) / n, rel=0.15)


def test_prop_ips_rows_that_depend_on_each_other_keep_the_mean_and_lose_the_variance():
    n, logs, rng = 20, 20_000, np.random.default_rng(2)
    chance, rate = 0.25, 0.4
    clicked = rng.random((logs, n)) < rate
    variance = (rate / chance - rate**2) / n
    for shared in (False, True):  # one coin for all rows of a log, in the place of one for each
        shown = rng.random((logs, 1 if shared else n)) < chance
        estimates = (shown & clicked).mean(axis=1) / chance
        assert estimates.mean() == pytest.approx(rate, abs=4.5 * estimates.std() / np.sqrt(logs))
        assert (estimates.var() > 5 * variance) == shared
        if not shared:
            assert estimates.var() == pytest.approx(variance, rel=0.06)


@given(seed=st.integers(0, 200), slack=st.floats(1.0, 3.0))
def test_prop_thinned_log_counts_are_binomial(seed: int, slack: float):
    rng, n = np.random.default_rng(seed), 4
    contexts, mu = rng.dirichlet(np.ones(3)), rng.random((3, 2))
    logging, target = rng.dirichlet(np.ones(2), 3), rng.dirichlet(np.ones(2), 3)
    bound = slack * (target / logging).max()
    row = np.zeros(3)  # probabilities of a row: left out, kept without a click, kept with one
    for x, a, click in product(range(3), range(2), range(2)):
        chance = contexts[x] * logging[x, a] * (mu[x, a] if click else 1 - mu[x, a])
        keep = target[x, a] / logging[x, a] / bound
        row += chance * np.array([1 - keep, keep * (1 - click), keep * click])
    value = contexts @ (target * mu).sum(axis=1)
    found = np.zeros((n + 1, n + 1))  # kept rows, clicks among them
    for outcome in product(range(3), repeat=n):
        found[n - outcome.count(0), outcome.count(2)] += np.prod(row[list(outcome)])
    for kept in range(n + 1):
        stated = binom.pmf(kept, n, 1 / bound) * binom.pmf(np.arange(n + 1), kept, value)
        np.testing.assert_allclose(found[kept], stated, atol=1e-12)


def test_prop_embedding_linear_lookup_is_a_matrix_product():
    table = torch.nn.Embedding(7, 3)
    for i in range(7):
        one_hot = torch.zeros(7)
        one_hot[i] = 1
        assert torch.equal(table(torch.tensor(i)), table.weight.T @ one_hot)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 99))
def test_prop_embedding_linear_gradient_touches_looked_up_rows(ids: list[int], seed: int):
    model = ClickNetwork((10, 4), seed=seed).double()
    rng = np.random.default_rng(seed)
    pairs = np.column_stack([ids, rng.integers(0, 4, len(ids))])
    labels = torch.as_tensor(rng.integers(0, 2, len(ids)), dtype=torch.float64)
    identifiers, features = model.split(pairs)
    vectors = model.embeddings[0](identifiers[:, 0]).detach().requires_grad_()
    rest = torch.cat([vectors, model.embeddings[1](identifiers[:, 1])], dim=1)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    loss(model.mlp(rest).squeeze(1), labels, reduction="sum").backward()  # g_b for each b
    wanted = np.zeros((10, 16))
    np.add.at(wanted, ids, vectors.grad.numpy() / len(ids))
    loss(model(identifiers, features.double()), labels).backward()
    np.testing.assert_allclose(model.embeddings[0].weight.grad.numpy(), wanted, atol=1e-14)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_prop_embedding_linear_unseen_rows_keep_their_start(decay: float):
    rng = np.random.default_rng(0)
    pairs = np.column_stack([rng.integers(0, 5, 400), rng.integers(0, 3, 400)])
    model, start = ClickNetwork((9, 3), seed=2), ClickNetwork((9, 3), seed=2)
    train(
        model, pairs, rng.integers(0, 2, 400), Training(epochs=3, weight_decay=decay, batch_size=64)
    )
    same = (model.embeddings[0].weight == start.embeddings[0].weight).all(dim=1).numpy()
    assert not same[:5].any()
    assert same[5:].all() == (decay == 0.0)  # decoupled decay moves every row


@given(st.integers(1, 4), st.integers(0, 99))
def test_prop_dot_product_rank_is_the_length_of_the_vectors(k: int, seed: int):
    rng = np.random.default_rng(seed)
    users, products = rng.normal(size=(9, 5)), rng.normal(size=(7, 6))
    towers = [
        np.maximum(x @ rng.normal(size=(x.shape[1], 8)), 0) @ rng.normal(size=(8, k))
        for x in (users, products)
    ]
    Z = np.array([[e @ f for f in towers[1]] for e in towers[0]])
    assert np.linalg.svd(Z, compute_uv=False)[k:] == pytest.approx(0, abs=1e-9)
    wanted = rng.normal(size=(9, k)) @ rng.normal(size=(k, 7))  # any matrix of that rank
    U, s, Vt = np.linalg.svd(wanted)
    E, F = U[:, :k] * s[:k], Vt[:k].T  # tables of a row for each user and each product
    assert np.allclose([[e @ f for f in F] for e in E], wanted)
    with_biases = rng.normal(size=(9, 1)) + rng.normal(size=(1, 7)) + wanted
    assert np.linalg.matrix_rank(with_biases, tol=1e-8) <= k + 2


@given(probability, inner)
def test_prop_proper_scoring_decomposition(p: float, q: float):
    loss = expected_log_loss(np.array([p]), np.array([q]))
    direct = -p * np.log(q) - (1 - p) * np.log(1 - q)
    assert loss == pytest.approx(direct, rel=1e-12, abs=1e-15)
    gap = excess_loss(np.array([p]), np.array([q]))
    assert loss == pytest.approx(irreducible_loss(np.array([p])) + gap, rel=1e-9, abs=1e-12)
    assert gap >= -1e-15


@given(inner)
def test_prop_proper_scoring_truth_is_the_only_minimum(p: float):
    grid = np.setdiff1d(np.linspace(0.001, 0.999, 500), [p])
    at_truth = expected_log_loss(np.array([p]), np.array([p]))
    others = np.array([expected_log_loss(np.array([p]), np.array([q])) for q in grid])
    assert (others > at_truth).all()


@given(st.floats(-30, 30), st.sampled_from([0.0, 1.0]))
def test_prop_bce_gradient_is_prediction_minus_label(z: float, y: float):
    logit = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(y).double())
    (first,) = torch.autograd.grad(loss, logit, create_graph=True)
    (second,) = torch.autograd.grad(first, logit)
    assert first.item() == pytest.approx(expit(z) - y, abs=1e-12)
    assert second.item() == pytest.approx(expit(z) * expit(-z), abs=1e-12)
    assert second.item() <= 0.25


def _fixed_policies(shop: Shop, log: object) -> dict:
    seen, ids = ObservedFeatures(shop), Identifiers(shop)
    return {
        "logistic": (LogisticPolicy(seen, log), seen),
        "popular": (MostPopular.from_log(log, shop.n_products), ids),
        "random": (RandomPolicy(shop.n_products, rng=np.random.default_rng(1)), ids),
    }


@pytest.mark.parametrize("name", ["logistic", "popular", "random"])
def test_prop_static_regret_grows_by_delta_a_round(name: str):
    shop = Shop(seed=6)
    log = shop.log(30_000)
    shop.shock(at=shop.now, towards="bird")
    policy, featurizer = _fixed_policies(shop, log)[name]
    users, n = np.arange(shop.n_users), 20_000
    mu = shop.click_probability(users[:, None], np.arange(shop.n_products))
    chances = policy.probabilities(featurizer.rows(users[:, None], np.arange(shop.n_products), 0))
    gap = mu.max(axis=1) - (chances * mu).sum(axis=1)
    weights = shop.visit_probabilities(shop.now)
    delta = weights @ gap
    regret = run(shop, policy, featurizer, shop.now, n).regret
    assert abs(regret.sum() - n * delta) <= np.sqrt(n / 2 * np.log(2 / 0.001))
    assert abs(regret.sum() - n * delta) <= 4.5 * regret.std() * np.sqrt(n)  # far sharper


def test_prop_static_regret_is_zero_only_for_the_optimal_policy():
    shop = Shop(seed=6)
    oracle = run(shop, Oracle(shop.n_products), Truth(shop), 0, 2_000)
    assert oracle.regret.max() == 0
    anyone = run(shop, RandomPolicy(shop.n_products), Identifiers(shop), 0, 2_000)
    assert anyone.regret.sum() > 0


# ------------------------------------------------ chapter 2: greed and optimism


def _positive_definite(rng: np.random.Generator, d: int) -> np.ndarray:
    """Return a random positive definite matrix (d, d) with eigenvalues in [0.1, 10]."""
    q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    return (q * np.exp(rng.uniform(np.log(0.1), np.log(10), d))) @ q.T


def _norm(v: np.ndarray, matrix: np.ndarray) -> float:
    return float(np.sqrt(v @ matrix @ v))


def _beta(a: np.ndarray, delta: float, kappa: float, ridge: float, norm: float) -> np.ndarray:
    """Return the size of the ellipsoid for a stack of matrices (..., d, d), from the formula."""
    log_ratio = np.linalg.slogdet(a)[1] - a.shape[-1] * np.log(ridge)
    return kappa * np.sqrt(2 * np.log(1 / delta) + log_ratio) + np.sqrt(ridge) * norm


def _beta_bar(
    n: int, d: int, delta: float, kappa: float, ridge: float, norm: float, row: float
) -> float:
    log_ratio = d * np.log(1 + n * row**2 / (d * ridge))
    return kappa * np.sqrt(2 * np.log(1 / delta) + log_ratio) + np.sqrt(ridge) * norm


def _greedy(
    mu: np.ndarray, n: int, worlds: int, forced: int = 0, ridge: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Return the arms (n, worlds) of greedy on clicks / (impressions + ridge), ties at random."""
    rng, each = np.random.default_rng(seed), np.arange(worlds)
    clicks, shown = np.zeros((2, worlds, len(mu)))
    arms = np.empty((n, worlds), dtype=int)
    for t in range(n):
        if t < forced * len(mu):
            arms[t] = t % len(mu)
        else:
            scores = clicks / (shown + ridge)
            best = scores == scores.max(axis=1, keepdims=True)
            arms[t] = np.argmax(best * (1 + rng.random(best.shape)), axis=1)
        clicks[each, arms[t]] += rng.random(worlds) < mu[arms[t]]
        shown[each, arms[t]] += 1
    return arms


@pytest.mark.parametrize("mu", [[0.5, 0.3], [0.6, 0.35, 0.2, 0.1]])
def test_prop_greedy_linear_regret_lock_in_probabilities(mu: list[float]):
    mu, worlds = np.array(mu), 20_000
    arms = _greedy(mu, 150, worlds)
    wanted = mu / mu.sum()
    found = np.bincount(arms[-1], minlength=len(mu)) / worlds
    assert np.abs((found - wanted) / np.sqrt(wanted * (1 - wanted) / worlds)).max() < 4.5
    assert (arms[75:] == arms[-1]).all()  # nobody ever comes back


def test_prop_greedy_linear_regret_expected_regret():
    mu, n, worlds = np.array([0.5, 0.3]), 12, 40_000
    gap, total = mu[0] - mu[1], mu.sum()
    wanted = n * gap * mu[1] / total + (gap / total) ** 2 * (1 - (1 - total / 2) ** n)
    regret = (_greedy(mu, n, worlds, seed=1) * gap).sum(axis=0)
    assert abs(regret.mean() - wanted) < 4.5 * regret.std() / np.sqrt(worlds)
    assert wanted - n * gap * mu[1] / total > 8 * regret.std() / np.sqrt(worlds)  # both terms count


@pytest.mark.parametrize("ridge", [0.0, 1.0])
def test_prop_greedy_linear_regret_forced_trials_do_not_save_it(ridge: float):
    mu, m, n, worlds = np.array([0.5, 0.3]), 2, 60, 20_000
    arms = _greedy(mu, n, worlds, forced=m, ridge=ridge, seed=2)
    never = (arms[2 * m :] == 1).all(axis=0).mean()
    least = (1 - mu[0]) ** m * (1 - (1 - mu[1]) ** m)
    assert never >= least - 4.5 * np.sqrt(least / worlds)
    assert (arms == 1).sum(axis=0).mean() >= (n - 2 * m) * least  # times the gap on both sides


@given(seeds, st.integers(1, 8))
def test_lem_optimism_regret_is_at_most_twice_the_width(seed: int, k: int):
    rng = np.random.default_rng(seed)
    mu, width = rng.random(k), rng.exponential(0.3, k)
    estimate = mu + width * rng.choice([-1.0, 1.0, rng.uniform(-1, 1)], k)  # intervals hold
    arm = np.argmax(estimate + width)
    assert mu.max() - mu[arm] <= 2 * width[arm] + 1e-12


def test_lem_optimism_is_sharp_and_needs_its_event():
    width, estimate = np.array([0.2, 0.2]), np.array([0.5, 0.5])
    arm = np.argmax(estimate + width)
    on_the_edge, outside = np.array([0.3, 0.7]), np.array([0.3, 0.8])
    assert on_the_edge.max() - on_the_edge[arm] == pytest.approx(2 * width[arm])
    assert outside.max() - outside[arm] > 2 * width[arm]


# ------------------------------------------------ chapter 2: ridge regression


@given(seeds, st.integers(0, 12), sizes, st.floats(0.05, 20))
def test_thm_ridge_equals_least_squares_on_augmented_rows(seed: int, n: int, d: int, ridge: float):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    estimate = np.linalg.inv(x.T @ x + ridge * np.eye(d)) @ (x.T @ y)
    rows = np.vstack([x, np.sqrt(ridge) * np.eye(d)])
    wanted = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(d)]), rcond=None)[0]
    np.testing.assert_allclose(estimate, wanted, rtol=1e-8, atol=1e-10)


@given(seeds, sizes)
def test_thm_ridge_is_the_only_minimum(seed: int, d: int):
    rng = np.random.default_rng(seed)
    x, y, ridge = rng.standard_normal((3, d)), rng.standard_normal(3), 0.5

    def objective(theta: np.ndarray) -> float:
        return ((y - x @ theta) ** 2).sum() + ridge * (theta**2).sum()

    a = x.T @ x + ridge * np.eye(d)
    estimate = np.linalg.solve(a, x.T @ y)
    assert np.linalg.eigvalsh(a).min() >= ridge - 1e-9
    step = rng.standard_normal(d)
    middle = objective(estimate + step / 2)
    assert objective(estimate + step) > objective(estimate)
    assert middle < (objective(estimate) + objective(estimate + step)) / 2  # strictly convex
    found = minimize(objective, rng.standard_normal(d), tol=1e-12).x
    np.testing.assert_allclose(found, estimate, atol=1e-5)


@given(seeds, st.integers(1, 10), sizes)
def test_prop_ridge_bayes_posterior_by_conditioning_a_joint_gaussian(seed: int, n: int, d: int):
    rng = np.random.default_rng(seed)
    tau, ridge = rng.uniform(0.2, 2), rng.uniform(0.2, 5)
    x, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    prior = tau**2 / ridge * np.eye(d)
    gain = prior @ x.T @ np.linalg.inv(x @ prior @ x.T + tau**2 * np.eye(n))  # (d, n)
    a = x.T @ x + ridge * np.eye(d)
    np.testing.assert_allclose(np.linalg.solve(a, x.T @ y), gain @ y, atol=1e-9)
    np.testing.assert_allclose(tau**2 * np.linalg.inv(a), prior - gain @ x @ prior, atol=1e-9)


def test_prop_ridge_bayes_rows_may_be_chosen_adaptively():
    rng, tau, ridge, worlds = np.random.default_rng(0), 0.7, 2.0, 40_000
    theta = rng.normal(0, tau / np.sqrt(ridge), worlds)  # d = 1, truths from the prior
    a, b = np.full(worlds, ridge), np.zeros(worlds)
    for _ in range(15):
        x = np.where(b / a > 0.1, 1.0, -0.3)  # looks at the past, not at theta
        y = x * theta + rng.normal(0, tau, worlds)
        a, b = a + x**2, b + x * y
    z = (theta - b / a) / (tau / np.sqrt(a))
    low, high = a < np.median(a), a >= np.median(a)
    for part in (low, high):  # standard normal given the data, whatever the data
        assert abs(z[part].mean()) < 4.5 / np.sqrt(part.sum())
        assert z[part].std() == pytest.approx(1, abs=0.02)


@given(seeds, st.integers(1, 9), st.integers(1, 3))
def test_prop_fixed_design_exact_coverage(seed: int, n: int, d: int):
    rng, ridge = np.random.default_rng(seed), 0.7
    x, theta = rng.dirichlet(np.ones(d + 1), n)[:, :d], rng.uniform(0, 1, d)
    at, p = rng.standard_normal(d), x @ theta
    outcomes = np.array(list(product((0, 1), repeat=n)))  # all 2^n
    chance = np.prod(np.where(outcomes, p, 1 - p), axis=1)
    a = x.T @ x + ridge * np.eye(d)
    error = np.abs(outcomes @ x @ np.linalg.solve(a, at) - at @ theta)
    for delta in (0.02, 0.2, 0.6):
        factor = np.sqrt(np.log(2 / delta) / 2) + np.sqrt(ridge) * np.linalg.norm(theta)
        outside = error > factor * _norm(at, np.linalg.inv(a)) + 1e-12
        assert chance[outside].sum() <= delta


def test_prop_fixed_design_is_sharp_in_order_and_needs_the_fixed_design():
    n, p, delta = 100, 0.5, 0.05
    half = np.sqrt(np.log(2 / delta) / 2) / np.sqrt(n)  # no ridge, one constant feature
    missed = 2 * binom.cdf(np.ceil(n * (p - half)) - 1, n, p)
    assert 0.001 < missed <= delta
    too_narrow = half / 2
    assert 2 * binom.cdf(np.ceil(n * (p - too_narrow)) - 1, n, p) > delta
    rng, wide = np.random.default_rng(0), 0.3  # chosen times: stop at the first failure
    count = np.arange(1, 3_001)
    error = np.abs((rng.random((1_000, 3_000)) < p).cumsum(axis=1) / count - p)
    failed = error > np.sqrt(np.log(2 / wide) / 2 / count)
    assert failed.mean(axis=0).max() <= wide < failed.any(axis=1).mean()


# ------------------------------------------------ chapter 2: ellipsoids and LinUCB's regret


def _tree(n: int, p: np.ndarray, theta: np.ndarray) -> Iterator[tuple]:
    """Yield every history of n adaptive rounds in d = 2: probability, A, xi and estimate, per t.

    The row depends on all earlier rewards; the reward is 1 with probability row · theta.
    """
    for path in product((0, 1), repeat=n):
        a, xi, b, chance = np.eye(2), np.zeros(2), np.zeros(2), 1.0
        stops = [(a.copy(), xi.copy(), np.zeros(2))]
        for t, reward in enumerate(path):
            greedy = np.linalg.solve(a, b) @ p.T  # estimates of the two rows on offer
            row = p[np.argmax(greedy)] if t % 3 else p[sum(path[:t]) % 2]
            mean = row @ theta
            chance *= mean if reward else 1 - mean
            a, b, xi = a + np.outer(row, row), b + reward * row, xi + (reward - mean) * row
            stops.append((a, xi, np.linalg.solve(a, b)))
        yield chance, stops


def test_thm_self_normalised_exact_over_all_histories():
    kappa, n = 0.5, 10
    rows, theta = np.array([[1.0, 0.2], [0.3, 0.9]]), np.array([0.3, 0.45])
    mixture, total, outside = np.zeros(n + 1), 0.0, dict.fromkeys((0.05, 0.3, 0.7), 0.0)
    for chance, stops in _tree(n, rows, theta):
        total += chance
        a, xi, estimate = (np.array(part) for part in zip(*stops, strict=True))
        square = np.einsum("ti,tij,tj->t", xi, np.linalg.inv(a), xi)
        log_det = np.linalg.slogdet(a)[1]
        mixture += chance * np.exp(square / (2 * kappa**2) - log_det / 2)
        off = estimate - theta
        distance = np.sqrt(np.einsum("ti,tij,tj->t", off, a, off))
        for delta in outside:
            noise = square > 2 * kappa**2 * (log_det / 2 - np.log(delta))
            theirs = distance > _beta(a, delta, kappa, 1.0, np.linalg.norm(theta)) + 1e-12
            assert noise.any() or not theirs.any()  # the ellipsoid holds on the noise's event
            outside[delta] += chance * noise.any()
    assert total == pytest.approx(1)
    assert mixture.max() <= 1 + 1e-12 and np.all(np.diff(mixture) <= 1e-12)  # a supermartingale
    assert all(share <= delta for delta, share in outside.items())


def _adaptive_noise(seed: int, worlds: int = 1_500, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return |xi|^2 in the A^-1 norm and log det A, (n, worlds), for Gaussian noise, d = 2."""
    rng = np.random.default_rng(seed)
    a, xi = np.tile(np.eye(2), (worlds, 1, 1)), np.zeros((worlds, 2))
    square, log_det = np.empty((2, n, worlds))
    for t in range(n):
        push = np.linalg.solve(a, xi[..., None])[..., 0]
        row = np.where(rng.random((worlds, 1)) < 0.5, push, rng.standard_normal((worlds, 2)))
        row = row / np.maximum(np.linalg.norm(row, axis=1, keepdims=True), 1e-9)
        a, xi = a + row[:, :, None] * row[:, None], xi + rng.standard_normal((worlds, 1)) * row
        square[t] = np.einsum("wi,wi->w", xi, np.linalg.solve(a, xi[..., None])[..., 0])
        log_det[t] = np.linalg.slogdet(a)[1]
    return square, log_det


def test_thm_self_normalised_holds_for_rows_that_follow_the_noise():
    square, log_det = _adaptive_noise(seed=3)
    for delta in (0.05, 0.2, 0.5):
        broken = (square > 2 * (log_det / 2 - np.log(delta))).any(axis=0).mean()
        assert broken <= delta
        if delta == 0.5:
            assert broken > 0.05  # not vacuous
    too_small = (square > 2 * 0.5**2 * (log_det / 2 - np.log(0.05))).any(axis=0).mean()
    assert too_small > 0.05  # half the noise constant is not enough
    log_mean = np.log(np.mean(np.exp(square[:6] / 2 - log_det[:6] / 2), axis=1))
    assert np.abs(log_mean).max() < 0.25  # Gaussian noise: a martingale of mean one


@given(seeds, sizes, st.floats(0.1, 5))
def test_lem_ucb_ellipsoid_no_point_of_the_surface_is_better(seed: int, d: int, beta: float):
    rng = np.random.default_rng(seed)
    a, centre, x = _positive_definite(rng, d), rng.standard_normal(d), rng.standard_normal(d)
    sphere = rng.standard_normal((500, d))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    points = centre + beta * np.linalg.solve(np.linalg.cholesky(a).T, sphere.T).T
    off = points - centre
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", off, a, off), beta**2, rtol=1e-8)
    bonus = beta * _norm(x, np.linalg.inv(a))
    assert (points @ x).max() <= x @ centre + bonus + 1e-9
    assert (points @ x).min() >= x @ centre - bonus - 1e-9
    best = centre + beta * np.linalg.solve(a, x) / _norm(x, np.linalg.inv(a))
    assert best @ x == pytest.approx(x @ centre + bonus)
    assert _norm(best - centre, a) == pytest.approx(beta)


def test_lem_ucb_ellipsoid_equals_a_constrained_optimiser():
    rng = np.random.default_rng(4)
    a, centre, x = _positive_definite(rng, 3), rng.standard_normal(3), rng.standard_normal(3)
    inside = {"type": "ineq", "fun": lambda theta: 1.7**2 - (theta - centre) @ a @ (theta - centre)}
    found = minimize(lambda theta: -theta @ x, centre, constraints=inside, tol=1e-12)
    assert -found.fun == pytest.approx(x @ centre + 1.7 * _norm(x, np.linalg.inv(a)), rel=1e-6)


@given(seeds, sizes, st.sampled_from([1, -1]))
def test_lem_sherman_morrison_equals_a_fresh_inverse(seed: int, d: int, s: int):
    rng = np.random.default_rng(seed)
    a, x = _positive_definite(rng, d), rng.standard_normal(d)
    if s == -1:  # remove a row that is in the sum
        a = a + np.outer(x, x)
    inverse = np.linalg.inv(a)
    u = inverse @ x
    updated = inverse - s * np.outer(u, u) / (1 + s * x @ u)
    np.testing.assert_allclose(updated, np.linalg.inv(a + s * np.outer(x, x)), rtol=1e-6, atol=1e-7)
    if s == -1:
        q = x @ np.linalg.solve(a - np.outer(x, x), x)
        assert 1 - x @ u == pytest.approx(1 / (1 + q))
    else:
        assert 1 + x @ u >= 1
        assert np.linalg.eigvalsh(updated).min() > 0


@given(seeds, sizes, st.integers(0, 30), st.floats(0.1, 5))
def test_lem_determinant_growth_and_bound(seed: int, d: int, n: int, ridge: float):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d)) * (rng.random((n, 1)) < 0.6)  # some rows are zero
    a, log_product = ridge * np.eye(d), d * np.log(ridge)
    for row in rows:
        width = row @ np.linalg.solve(a, row)
        single = np.linalg.det(a + np.outer(row, row)) / np.linalg.det(a)
        assert single == pytest.approx(1 + width, rel=1e-7)
        log_product += np.log1p(width)
        a = a + np.outer(row, row)
    assert np.linalg.slogdet(a)[1] == pytest.approx(log_product, abs=1e-7)
    m = int(rows.any(axis=1).sum())
    longest = np.linalg.norm(rows, axis=1).max() if n else 0.0
    assert log_product <= d * np.log(ridge + m * longest**2 / d) + 1e-9


def test_lem_determinant_bound_is_attained_by_equal_directions():
    d, rounds = 3, 5
    a = 0.5 * np.eye(d) + rounds * np.eye(d)  # every axis seen `rounds` times, L = 1
    assert np.linalg.slogdet(a)[1] == pytest.approx(d * np.log(0.5 + rounds * d / d))


@given(seeds, sizes, st.integers(1, 60), st.floats(0.02, 4), st.booleans())
def test_lem_elliptical_potential(seed: int, d: int, n: int, ridge: float, greedy: bool):
    rng = np.random.default_rng(seed)
    a, squares = ridge * np.eye(d), []
    for _ in range(n):
        row = np.linalg.eigh(a)[1][:, 0] if greedy else rng.standard_normal(d)  # widest first
        row = row / np.linalg.norm(row) * (1.0 if greedy else rng.random())
        squares.append(row @ np.linalg.solve(a, row))
        a = a + np.outer(row, row)
    total = np.minimum(1, squares).sum()
    by_determinant = 2 * (np.linalg.slogdet(a)[1] - d * np.log(ridge))
    assert total <= by_determinant + 1e-9
    assert by_determinant <= 2 * d * np.log(1 + n / (d * ridge)) + 1e-9
    if ridge >= 1:  # L = 1
        assert max(squares) <= 1 + 1e-12
    if greedy and ridge >= 1:
        assert total >= by_determinant / 2 - 1e-9  # log(1 + z) <= z: within a factor of two


NOISE = 0.1  # standard deviation of the rewards in `_play`: small, so that the bound says something


def _play(shared: bool, n: int, alpha: float, delta: float = 0.1, sign: float = 1.0) -> tuple:
    """Play LinUCB by plain inversion where it is linear; return regret and coverage, (worlds,).

    Rows and weights are unit vectors in the plane, K = 3, ridge 1; `sign` -1 shows the worst score.
    """
    rng, worlds, k, d = np.random.default_rng(0), 40, 3, 2
    each, models = np.arange(worlds), 1 if shared else k
    angle = rng.uniform(0, 2 * np.pi, (worlds, models))
    theta = np.stack([np.cos(angle), np.sin(angle)], axis=2)  # (S, models, d)
    a, b = np.tile(np.eye(d), (worlds, models, 1, 1)), np.zeros((worlds, models, d))
    regret, covered = np.zeros(worlds), np.ones(worlds, dtype=bool)
    for _ in range(n):
        angle = rng.uniform(0, 2 * np.pi, (worlds, k if shared else 1))
        x = np.broadcast_to(np.stack([np.cos(angle), np.sin(angle)], axis=2), (worlds, k, d))
        inverse = np.linalg.inv(a)
        estimate = np.einsum("smde,sme->smd", inverse, b)
        every = np.broadcast_to(inverse, (worlds, k, d, d))
        width = np.sqrt(np.einsum("skd,skde,ske->sk", x, every, x))
        arm = (sign * ((x * estimate).sum(axis=2) + alpha * width)).argmax(axis=1)
        row, mu, model = x[each, arm], (x * theta).sum(axis=2), 0 if shared else arm
        a[each, model] += row[:, :, None] * row[:, None]
        reward = mu[each, arm] + NOISE * rng.standard_normal(worlds)
        b[each, model] += reward[:, None] * row
        regret += mu.max(axis=1) - mu[each, arm]
        off = np.linalg.solve(a, b[..., None])[..., 0] - theta
        distance = np.sqrt(np.einsum("smd,smde,sme->sm", off, a, off))
        covered &= (distance <= _beta(a, delta / models, NOISE, 1.0, 1.0)).all(axis=1)
    return regret, covered


@pytest.mark.parametrize("shared", [True, False])
def test_thm_linucb_regret_stays_under_a_bound_that_bites(shared: bool):
    n, d, delta, models = 1_500, 2, 0.1, 1 if shared else 3
    size = _beta_bar(n, d, delta / models, NOISE, 1.0, 1.0, 1.0)
    bound = 2 * size * np.sqrt(2 * models * n * d * np.log(1 + n / (models * d)))
    regret, covered = _play(shared, n, size, delta)
    assert covered.mean() >= 1 - delta
    assert (regret <= bound).mean() >= 1 - delta
    assert _play(shared, n, size, delta, sign=-1.0)[0].mean() > bound  # the worst policy breaks it


def test_thm_linucb_regret_grows_more_slowly_than_the_rounds():
    size = _beta_bar(2_400, 2, 0.1, NOISE, 1.0, 1.0, 1.0)
    short, long = (_play(True, n, size)[0].mean() for n in (300, 2_400))
    assert long / short < np.sqrt(8)  # eight times the rounds


@given(
    st.integers(1, 100_000),
    st.integers(1, 30),
    st.floats(1, 50),
    st.floats(0.01, 20),
    st.integers(1, 30),
)
def test_thm_linucb_regret_forms_compare_as_stated(n: int, d: int, ridge: float, l2: float, k: int):
    l2 = min(l2, ridge)  # ridge >= max(1, L^2)
    growth = np.log1p(n * l2 / (d * ridge))
    ours, printed = 2 * np.sqrt(2 * n * d * growth), 4 * np.sqrt(n * d * np.log(ridge + n * l2 / d))
    assert ours <= printed * (1 + 1e-12)
    shares = np.random.default_rng(n).multinomial(n, np.ones(k) / k)
    sorted_by_arm = np.log1p(shares * l2 / (d * ridge)).sum()
    assert sorted_by_arm <= k * np.log1p(n * l2 / (k * d * ridge)) + 1e-9


# ------------------------------------------------ chapter 2: memory after a shock

levels = st.tuples(st.floats(0, 1), st.floats(0.05, 0.95), st.floats(0, 1)).map(
    lambda u: (0.3 + 0.7 * u[0], (0.3 + 0.7 * u[0]) * u[1], (0.3 + 0.7 * u[0]) * u[1] * 0.9 * u[2])
)  # mu_0 > c > mu_1


def _first(below: np.ndarray) -> int:
    """Return the first m at which the condition holds; it is monotone in m."""
    assert below.any() and (np.diff(below.astype(int)) >= 0).all()
    return int(np.argmax(below))


def _smallest_above(x: float) -> int:
    """Return the smallest integer m >= 0 with m > x."""
    return max(0, int(np.floor(x)) + 1)


def _near_integer(x: float) -> bool:
    return abs(x - round(x)) < 1e-6


@given(levels, st.integers(1, 200), st.floats(0.1, 10))
def test_prop_shock_memory_means_and_ridge(mu: tuple, n: int, ridge: float):
    old, c, new = mu
    means = np.cumsum(np.append(np.full(n, old), np.full(100_000, new)))[n - 1 :]
    count = np.arange(n, n + len(means))
    when = n * (old - c) / (c - new)
    if when < 90_000 and not _near_integer(when):
        assert _first(means / count < c) == _smallest_above(when)
    when = (n * (old - c) - ridge * c) / (c - new)
    if when < 90_000 and not _near_integer(when):
        assert _first(means / (count + ridge) < c) == _smallest_above(when)
        score = means / (count + ridge) + 0.5 / np.sqrt(count + ridge)
        assert not (score[: _smallest_above(when)] < c).any()  # the bonus only delays


@given(levels, st.integers(1, 300), st.floats(0.5, 0.99))
def test_prop_shock_memory_discounted_mean_does_not_age(mu: tuple, n: int, gamma: float):
    old, c, new = mu
    total, weight, below = 0.0, 0.0, []
    for t in range(n + 3_000):
        if t >= n:
            below.append(total / weight < c)
        total, weight = gamma * total + (old if t < n else new), gamma * weight + 1
    when = np.log(1 + (1 - gamma**n) * (old - c) / (c - new)) / np.log(1 / gamma)
    cap = np.log((old - new) / (c - new)) / (1 - gamma)
    assert when <= cap + 1e-9
    if not _near_integer(when):
        assert _first(np.array(below)) == _smallest_above(when)


@given(levels, st.integers(1, 60), st.integers(0, 100))
def test_prop_shock_memory_window(mu: tuple, w: int, extra: int):
    old, c, new = mu
    rewards = np.append(np.full(w + extra, old), np.full(w, new))
    means = [rewards[w + extra + m - w : w + extra + m].mean() for m in range(w + 1)]
    when = w * (old - c) / (old - new)
    assert when < w
    if not _near_integer(when):
        assert _first(np.array(means) < c) == _smallest_above(when)


# ------------------------------------------------ chapter 3: the network near its start


def _score(matrices: list[torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, list]:
    """Return √m W_L φ(... φ(W_1 x)) and the inputs of the hidden units, layer by layer."""
    inputs = []
    for W in matrices[:-1]:
        inputs.append(W @ x)
        x = inputs[-1].relu()
    return matrices[-1].shape[1] ** 0.5 * (matrices[-1] @ x)[0], inputs


def _remainder(matrices: list, changes: list, x: torch.Tensor) -> tuple[float, list, list]:
    """Return what the linear model misses, by autograd, and the units' inputs before and after."""
    matrices = [W.clone().requires_grad_() for W in matrices]
    before, inputs = _score(matrices, x)
    gradient = torch.autograd.grad(before, matrices)
    linear = sum((g * change).sum() for g, change in zip(gradient, changes, strict=True))
    after, moved = _score([W + change for W, change in zip(matrices, changes, strict=True)], x)
    return (after - before - linear).item(), inputs, moved


def _network(seed: int, n_layers: int, m: int) -> tuple[list, list, torch.Tensor]:
    """Return matrices and directions of unit length in total, and a row; m in every layer."""
    rng = np.random.default_rng(seed)
    shapes = [(m, 3), *[(m, m)] * (n_layers - 2), (1, m)]
    draw = [[torch.from_numpy(rng.normal(size=s)) / m**0.5 for s in shapes] for _ in range(2)]
    length = sum((change**2).sum() for change in draw[1]).sqrt()
    return draw[0], [change / length for change in draw[1]], torch.from_numpy(rng.normal(size=3))


def _same(inputs: list, moved: list) -> bool:
    return all(((a > 0) == (b > 0)).all() for a, b in zip(inputs, moved, strict=True))


def _product_bound(stretch: list[float], sizes: list[float]) -> float:
    """Return the bracket of part 1."""
    both = [b + s for b, s in zip(stretch, sizes, strict=True)]
    single = [s * np.prod(stretch[:i] + stretch[i + 1 :]) for i, s in enumerate(sizes)]
    return np.prod(both) - np.prod(stretch) - sum(single)


@given(seeds, st.integers(2, 4), st.sampled_from([1, 4, 9]))
def test_lem_linearisation_where_no_unit_switches(seed: int, n_layers: int, m: int):
    matrices, directions, x = _network(seed, n_layers, m)
    size = 1.0
    while True:
        changes = [size * change for change in directions]
        rest, inputs, moved = _remainder(matrices, changes, x)
        if _same(inputs, moved):
            break
        size /= 2
    stretch = [torch.linalg.matrix_norm(W, 2).item() for W in matrices]
    bound = _product_bound(stretch, [change.norm().item() for change in changes])
    assert abs(rest) <= m**0.5 * x.norm().item() * bound + 1e-12


@given(seeds, st.integers(2, 4))
def test_lem_linearisation_is_attained_by_positive_numbers(seed: int, n_layers: int):
    drawn = np.random.default_rng(seed).uniform(0.1, 1, (2, n_layers))
    matrices, changes = ([torch.tensor([[v]], dtype=torch.float64) for v in d] for d in drawn)
    rest, *_ = _remainder(matrices, changes, torch.tensor([2.0], dtype=torch.float64))
    assert rest == pytest.approx(2 * _product_bound(*map(list, drawn)), rel=1e-9, abs=1e-12)


@given(seeds, st.integers(1, 12), st.floats(0.01, 30))
def test_lem_linearisation_where_units_switch(seed: int, m: int, tau: float):
    matrices, directions, x = _network(seed, 2, m)
    x = x / x.norm()
    changes = [tau / m**0.5 * change for change in directions]
    rest, (z,), (moved,) = _remainder(matrices, changes, x)
    w, zeta, switched = matrices[1][0], changes[0] @ x, (z > 0) != (moved > 0)
    by_unit = (changes[1].norm() * zeta.norm() + (w.abs() * zeta.abs())[switched].sum()).item()
    assert abs(rest) <= m**0.5 * by_unit + 1e-12
    by_width = tau**2 / (2 * m**0.5) + tau * (w[switched] ** 2).sum().sqrt().item()
    assert m**0.5 * by_unit <= by_width + 1e-12


def test_lem_linearisation_a_switch_costs_its_change():
    one = torch.ones(1, 1, dtype=torch.float64)
    for start, change in ((1e-9, -1.0), (-1e-9, 1.0)):
        changes = [change * one, 0 * one]
        rest, *_ = _remainder([start * one, one], changes, one[0])
        assert rest == pytest.approx(1.0, rel=1e-8)  # |w| |ζ|, though no product of changes


def _random_start_bounds(m: int, tau: float) -> tuple[float, float]:
    """The bounds of part 4 on the expectation: any change; one with no |ζᵢ| above τ/m."""
    largest = tau**2 / (2 * m**0.5) + 3.1 * tau ** (4 / 3) * (np.log(m) / m) ** (1 / 6)
    return largest, (1 / 2 + 2 / np.pi) * tau**2 / m**0.5


@pytest.mark.parametrize("m", [16, 256, 4_096])
@pytest.mark.parametrize("tau", [0.3, 1.0, 3.0])
def test_lem_linearisation_at_a_random_start_whatever_the_change(m: int, tau: float):
    # Changes that look at the start: across the kinks of the units nearest to theirs, or spread.
    worst, spread = [], []
    x = np.array([0.6, 0.8, 0.6, 0.8]) / 2**0.5
    for seed in range(30):
        rng = np.random.default_rng(seed)
        half, v = rng.normal(0, (4 / m) ** 0.5, (m // 2, 2)), rng.normal(0, (2 / m) ** 0.5, m // 2)
        W, w = np.kron(np.eye(2), half), np.concatenate([v, -v])
        z = W @ x

        def left_out(zeta: np.ndarray, z: np.ndarray = z, w: np.ndarray = w) -> float:
            after, before = np.maximum(z + zeta, 0), np.maximum(z, 0)
            return m**0.5 * abs(w @ (after - before - (z > 0) * zeta))

        found = 0.0
        for sign in (-1.0, 1.0):  # all in one direction, or nothing would be left of the sum
            good = np.flatnonzero(w * sign > 0)
            order = good[np.argsort(np.abs(z[good]))]
            for share in (0.01, 0.03, 0.1, 0.3, 1.0):
                chosen = order[: max(1, int(share * len(order)))]
                zeta = np.zeros(m)
                zeta[chosen] = -np.where(z[chosen] > 0, 1.0, -1.0)
                found = max(found, left_out(zeta * tau / m**0.5 / len(chosen) ** 0.5))
        worst.append(found)
        spread.append(left_out(-np.where(z > 0, 1.0, -1.0) * np.sign(w) * tau / m))
    any_change, small_change = _random_start_bounds(m, tau)
    assert np.mean(worst) <= any_change
    assert np.mean(worst) > 0.05 * (any_change - tau**2 / (2 * m**0.5))  # of the right order
    assert np.mean(spread) <= small_change


@pytest.mark.parametrize("m", [2, 8, 64, 1_024])
def test_lem_linearisation_steps_of_the_expectation(m: int):
    # The three estimates in the proof of part 4, by quadrature and by a large sample.
    for s in (0.01 / m**0.5, 0.3 / m**0.5, 2 / m**0.5):
        probability_near = quad(lambda u: np.exp(-m * u * u / 4) * (m / 4 / np.pi) ** 0.5, -s, s)[0]
        assert probability_near <= s * (m / np.pi) ** 0.5 * (1 + 1e-9)
    draws = np.random.default_rng(m).normal(0, (2 / m) ** 0.5, (4_000, m // 2))
    assert np.abs(draws).max(axis=1).mean() <= 2 * (np.log(m) / m) ** 0.5 + 0.02 / m**0.5
    grid = np.linspace(0.05, 20, 400)  # the constant: c₁ σ^½ + 2 q / σ is smallest where it says
    assert min((2 / np.pi**0.5) ** 0.5 * grid**0.5 + 2 / grid) <= 3.1
    assert (2 / np.pi**0.5) ** 0.5 + 2 <= 3.1


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5])
def test_lem_tangent_kernel_mean_and_variance(angle: float):
    # By autograd: one mean for two widths, a variance within the bound, the limit for the angle.
    rows = torch.tensor([[1.0, 0.0], [np.cos(angle), np.sin(angle)]], dtype=torch.float64)
    limit = (2 * (np.pi - angle) * np.cos(angle) + np.sin(angle)) / np.pi
    n = 400
    for m in (4, 32):
        draws = np.empty(n)
        for seed in range(n):
            g = plain_gradients(score_network(2, (m,), seed=seed), rows)
            draws[seed] = (g[0] @ g[1]).item() / m
        assert draws.var(ddof=1) <= 48 / m
        assert abs(draws.mean() - limit) < 4.5 * draws.std(ddof=1) / n**0.5
    if angle == 0:
        assert limit == pytest.approx(2)


@given(seeds, st.floats(0.1, 3), st.integers(1, 12))
def test_prop_gradient_linucb_minimiser_and_width(seed: int, ridge: float, n: int):
    m, rng = 4, np.random.default_rng(seed)
    agent = NeuralUCB(2, (m,), 1.0, ridge, seed=seed, schedule=Schedule(first=10**6))
    rows, rewards, new = rng.normal(size=(n, 2)), rng.random(n), rng.normal(size=(5, 2))
    values = [value.detach().clone().requires_grad_() for value in agent.model.parameters()]

    def gradient(row: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(row / np.linalg.norm(row))
        score, _ = _score(values, torch.cat([x, x]) / 2**0.5)
        parts = torch.autograd.grad(score, values)
        return torch.cat([part.flatten() for part in parts]).numpy()

    G, other = (np.stack([gradient(row) for row in part]) for part in (rows, new))
    p = G.shape[1]
    # the objective as a sum of squares in θ - θ₀: rows G, then √(mλ) I
    stacked = np.concatenate([G, np.sqrt(m * ridge) * np.eye(p)])
    step = np.linalg.lstsq(stacked, np.concatenate([rewards, np.zeros(p)]), rcond=None)[0]
    linear = SharedLinUCB(5, p, 1.0, ridge)
    for i in range(n):
        linear.update(0, G[i] / np.sqrt(m), rewards[i])
        agent.update(0, rows[i], rewards[i])
    u = other / np.sqrt(m)
    np.testing.assert_allclose(u @ linear.theta, other @ step, atol=1e-8)
    width = np.sqrt(np.einsum("kp,pq,kq->k", u, linear.A_inv, u))
    np.testing.assert_allclose(agent.estimates(new)[1], width, atol=1e-8)
    np.testing.assert_allclose(linear.ucb(u) - u @ linear.theta, width, atol=1e-8)


def _neural_bound(n: int, log_det: float, ridge: float, m_bound: float, kappa: float) -> float:
    """The right-hand side with the training finished and δ = 0.1; log_det is log det(I + H/λ)."""
    inner = kappa * np.sqrt(log_det + 2 - 2 * np.log(0.1)) + 2 * np.sqrt(ridge) * m_bound
    return 3 * np.sqrt(n) * np.sqrt(log_det + 2) * inner + 1


def test_thm_neuralucb_regret_stays_under_a_bound_that_bites():
    # Two rows at a right angle, the same in every round, so H is singular: M from one of each.
    n, m, ridge, noise = 2_500, 32, 1.0, 0.05
    rows, h, rng = np.eye(2), np.array([0.0, 1.0]), np.random.default_rng(0)
    plan = Schedule(steps=60, every=100)
    agent = NeuralUCB(2, (m,), 1.0, ridge, schedule=plan, rng=rng)
    at = gradient_factors(agent.model, rows)
    H = (at.kernel(at) / m).numpy()
    eigenvalues = np.linalg.eigvalsh(H)
    log_det = np.log1p(n * eigenvalues / ridge).sum()  # every row n times
    m_bound = max(1.0, np.sqrt(2 * h @ np.linalg.solve(H, h)))
    bound = _neural_bound(n, log_det, ridge, m_bound, noise)
    regret = 0.0
    for _ in range(n):
        arm = int(agent.select(rows))
        regret += h.max() - h[arm]
        agent.update(arm, rows[arm], h[arm] + noise * rng.standard_normal())
    assert regret <= bound
    assert bound < 0.9 * n  # what the worst policy loses


@given(seeds, st.integers(1, 30), st.floats(0.01, 10))
def test_thm_neuralucb_regret_effective_dimension_two_ways(seed: int, n: int, ridge: float):
    net = score_network(3, (8,), seed=seed)
    at = gradient_factors(net, np.random.default_rng(seed).normal(size=(n, 3)))
    G = at.gradients().numpy() / np.sqrt(8)
    H = (at.kernel(at) / 8).numpy()
    log_det = np.linalg.slogdet(np.eye(n) + H / ridge)[1]
    other_way = np.linalg.slogdet(np.eye(G.shape[1]) + G.T @ G / ridge)[1]
    assert log_det == pytest.approx(other_way, rel=1e-7, abs=1e-9)
    # no more directions than rows, nor than numbers that the mirrored halves leave different
    rank = min(n, 4 * (3 + 1))
    assert log_det <= rank * np.log1p(np.trace(H) / (rank * ridge)) + 1e-7


# ------------------------------------------------ chapter 3: gradients of all arms, and the bonus


def _scaled_mlp(rng: np.random.Generator, depth: int, nu: float = 1.0) -> torch.nn.Sequential:
    """An MLP with random widths, some biases and the output factor nu."""
    return torch.nn.Sequential(*random_mlp(rng, depth), Scale(nu))


def _rows_for(rng: np.random.Generator, n: int, model: torch.nn.Sequential) -> torch.Tensor:
    """Rows (n, h_0) for a network."""
    return torch.from_numpy(rng.standard_normal((n, model[0].in_features)))


@given(seeds, st.integers(2, 5), st.data())
def test_prop_sum_loses_gradients_whatever_the_weights_of_too_few_passes(
    seed: int, n_arms: int, data: st.DataObject
):
    rng, n_passes = np.random.default_rng(seed), data.draw(st.integers(1, n_arms - 1))
    model = random_mlp(rng, 1, 4)  # the later layer
    first_layer = torch.nn.Linear(3, 4).double()
    model = torch.nn.Sequential(first_layer, torch.nn.ReLU(), *model)
    x = torch.from_numpy(rng.standard_normal(3)).requires_grad_()
    on = torch.from_numpy(np.append(1.0, rng.choice([-1.0, 1.0], 3)))
    with torch.no_grad():  # rows near x keep every unit's input near 1 or -1
        first_layer.bias.copy_(on - first_layer.weight @ x)
    size = 0.05 / first_layer.weight.detach().norm()
    (slope,) = torch.autograd.grad(model(x[None]).sum(), x)
    near = torch.from_numpy(rng.standard_normal((n_arms, 3)))
    rows = x.detach() + size * near / near.norm()
    u = rng.standard_normal((n_passes, n_arms))
    w = np.linalg.svd(u)[2][-1]  # orthogonal to the weights of every pass
    v = torch.linalg.cross(slope, torch.from_numpy(rng.standard_normal(3)))
    v *= size / v.norm()
    others = rows + torch.outer(torch.from_numpy(w), v)
    first, second = plain_gradients(model, rows), plain_gradients(model, others)
    assert torch.allclose(model(rows), model(others), rtol=1e-9, atol=1e-12)
    for weights in torch.from_numpy(u):
        results = []
        for batch in (rows, others):
            model.zero_grad()
            (weights @ model(batch)[:, 0]).backward()
            results.append(torch.cat([value.grad.flatten() for value in model.parameters()]))
        assert torch.allclose(results[0], first.T @ weights, rtol=1e-9, atol=1e-12)  # part 1
        assert torch.allclose(results[0], results[1], rtol=1e-9, atol=1e-12)
    delta = float((model[2].weight.detach() * (on > 0)).norm())  # of the first layer's output
    moved = (first - second).norm(dim=1).numpy()
    assert (moved >= np.abs(w) * float(v.norm()) * delta * (1 - 1e-6)).all()
    Z_inv = np.linalg.inv(_positive_definite(rng, first.shape[1]))
    before, after = (np.einsum("kp,pq,kq->k", g, Z_inv, g) for g in (first, second))
    assert np.abs(after / before - 1).max() > 1e-6


def test_prop_sum_loses_gradients_as_many_passes_as_arms_recover_them():
    rng = np.random.default_rng(0)
    model = _scaled_mlp(rng, 3)
    rows, u = _rows_for(rng, 4, model), torch.from_numpy(rng.standard_normal((4, 4)))
    gradients = plain_gradients(model, rows)
    assert torch.allclose(torch.linalg.solve(u, u @ gradients), gradients, atol=1e-10)


def test_prop_sum_loses_gradients_turning_two_unit_rows_about_their_sum():
    model = score_network(3, (6,), init="torch", seed=3)
    x, y = (torch.tensor(v).double() for v in ([0.6, 0.64, 0.48], [0.64, 0.48, 0.6]))
    axis, half, out = (x + y) / 2, (x - y) / 2, torch.linalg.cross(x, y)
    turned = np.cos(0.01) * half + np.sin(0.01) * half.norm() * out / out.norm()
    rows, others = torch.stack([x, y]), torch.stack([axis + turned, axis - turned])
    assert torch.allclose(others.norm(dim=1), torch.ones(2).double(), rtol=1e-12)
    on = [gradient_factors(model, batch).activations[1] > 0 for batch in (rows, others)]
    assert torch.equal(on[0], on[1])
    assert (on[0][0] == on[0][1]).all()
    first, second = plain_gradients(model, rows), plain_gradients(model, others)
    assert torch.allclose(first.sum(dim=0), second.sum(dim=0), rtol=1e-10, atol=1e-12)
    assert (first - second).norm() > 1e-3


@given(seeds, st.integers(1, 4), st.floats(0.1, 9))
def test_prop_mlp_gradient_is_that_of_autograd(seed: int, depth: int, nu: float):
    rng = np.random.default_rng(seed)
    model = _scaled_mlp(rng, depth, nu)
    x = _rows_for(rng, 1, model)
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    a, inputs, outputs = x[0], [], []
    for layer in layers:  # the forward pass as the proposition writes it, with z_l to ask about
        inputs.append(a)
        z = layer.weight @ a + (0.0 if layer.bias is None else layer.bias)
        z.retain_grad()
        outputs.append(z)
        a = z.relu()
    (nu * outputs[-1]).sum().backward()
    assert torch.allclose(nu * outputs[-1], model(x)[0])
    delta = torch.tensor([nu], dtype=torch.float64)
    ours = gradient_factors(model, x)
    for n in reversed(range(depth)):
        if n < depth - 1:
            delta = (outputs[n] > 0) * (layers[n + 1].weight.T @ delta)
        expected = outputs[n].grad
        assert torch.allclose(delta, expected, rtol=1e-9, atol=1e-12)
        assert torch.allclose(ours.deltas[n][0], expected, rtol=1e-9, atol=1e-12)
        outer = torch.outer(delta, inputs[n])
        assert torch.allclose(layers[n].weight.grad, outer, rtol=1e-9, atol=1e-12)
        if layers[n].bias is not None:
            assert torch.allclose(layers[n].bias.grad, delta, rtol=1e-9, atol=1e-12)


def test_prop_mlp_gradient_by_finite_differences():
    model = score_network(3, (6, 4), init="torch", bias=True, seed=1)
    x, step = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64), 1e-6
    flat = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    slopes = []
    for n in range(len(flat)):
        values = []
        for sign in (1, -1):
            moved = flat.clone()
            moved[n] += sign * step
            torch.nn.utils.vector_to_parameters(moved, model.parameters())
            values.append(model(x).item())
        slopes.append((values[0] - values[1]) / (2 * step))
    torch.nn.utils.vector_to_parameters(flat, model.parameters())
    ours = gradient_factors(model, x).gradients()[0].numpy()
    np.testing.assert_allclose(ours, slopes, rtol=1e-6, atol=1e-7)
    assert np.abs(slopes).max() > 0.1


def test_prop_mlp_gradient_at_a_kink_is_that_of_pytorch():
    model = random_mlp(np.random.default_rng(0), 3)
    zeros = torch.zeros(1, model[0].in_features, dtype=torch.float64)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, torch.nn.Linear) and layer.bias is not None:
                layer.bias.zero_()
    assert torch.equal(gradient_factors(model, zeros).gradients(), plain_gradients(model, zeros))


@given(seeds, st.integers(1, 4), st.integers(1, 9))
def test_prop_batched_jacobian_is_a_row_wise_khatri_rao_product(seed: int, depth: int, k: int):
    rng = np.random.default_rng(seed)
    model = _scaled_mlp(rng, depth, 3.0)
    rows = _rows_for(rng, k, model)
    expected, batch = plain_gradients(model, rows), gradient_factors(model, rows)
    blocks = []
    for a, delta, biased in batch.layers():
        pairs = zip(delta.numpy(), a.numpy(), strict=True)
        blocks.append(np.stack([np.kron(d, x) for d, x in pairs]))
        blocks += [delta.numpy()] if biased else []
    np.testing.assert_allclose(np.hstack(blocks), expected.numpy(), rtol=1e-9, atol=1e-11)
    ours = per_arm_gradients(model, rows)
    np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-9, atol=1e-11)
    alone = gradient_factors(model, rows[-1:])  # part 1: the other rows change nothing
    for whole, single in zip(batch.deltas, alone.deltas, strict=True):
        assert torch.allclose(whole[-1], single[0], rtol=1e-12, atol=1e-14)
    for whole, single in zip(batch.activations, alone.activations, strict=True):
        assert torch.allclose(whole[-1], single[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("hidden", [(4,), (6, 8), (4, 2, 6)])
def test_prop_batched_jacobian_operations_by_pytorch_s_counter(hidden: tuple[int, ...]):
    model, k = score_network(5, hidden), 7
    p = sum(value.numel() for value in model.parameters())
    first = next(model.parameters()).numel()
    rows = torch.ones(k, 5, dtype=torch.float64)
    with FlopCounterMode(display=False) as forward:
        model(rows)
    with FlopCounterMode(display=False) as sweep:
        gradient_factors(model, rows)
    with FlopCounterMode(display=False) as alone:
        for row in rows:
            gradient_factors(model, row[None])
    assert forward.get_total_flops() == 2 * k * p
    assert sweep.get_total_flops() == 2 * k * p + 2 * k * (p - first)
    assert alone.get_total_flops() == sweep.get_total_flops()


@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_lem_woodbury_equals_a_fresh_inverse(seed: int, p: int, t: int):
    rng = np.random.default_rng(seed)
    a, u, v = rng.standard_normal((p, p)), rng.standard_normal((p, t)), rng.standard_normal((t, p))
    a += 4 * np.eye(p)
    inverse = np.linalg.inv(a)
    s = np.eye(t) + v @ inverse @ u
    if min(np.linalg.svd(m)[1][-1] for m in (a, s, a + u @ v)) < 0.05:
        return  # nearly singular: nothing to compare
    ours = inverse - inverse @ u @ np.linalg.inv(s) @ v @ inverse
    np.testing.assert_allclose(ours, np.linalg.inv(a + u @ v), rtol=1e-6, atol=1e-7)


@given(seeds, st.integers(1, 7), st.integers(0, 9), st.floats(0.05, 5), st.floats(0.05, 5))
def test_lem_woodbury_with_a_ridge(seed: int, p: int, t: int, ridge: float, c: float):
    G = np.random.default_rng(seed).standard_normal((t, p))
    small = np.linalg.inv(ridge * np.eye(t) + c * G @ G.T)
    ours = (np.eye(p) - c * G.T @ small @ G) / ridge
    fresh = np.linalg.inv(ridge * np.eye(p) + c * G.T @ G)
    np.testing.assert_allclose(ours, fresh, rtol=1e-7, atol=1e-9)


def _bonus_by_inversion(played: np.ndarray, arms: np.ndarray, ridge: float, c: float) -> np.ndarray:
    """The squared width c gᵀZ⁻¹g of every arm, from gradients (t, p) and (K, p)."""
    Z = ridge * np.eye(arms.shape[1]) + c * played.T @ played
    return c * np.einsum("kp,pq,kq->k", arms, np.linalg.inv(Z), arms)


@few
@given(seeds, st.integers(0, 9), st.floats(0.1, 3), st.floats(0.05, 2), st.booleans())
def test_prop_dual_bonus_equals_the_quadratic_form(
    seed: int, t: int, ridge: float, c: float, kernel: bool
):
    rng = np.random.default_rng(seed)
    model = _scaled_mlp(rng, int(rng.integers(1, 4)), 1.5)
    memory = (KernelMemory if kernel else DualMemory)(model, ridge, c)
    arms = _rows_for(rng, 6, model)
    played = np.zeros((0, memory.n_parameters))
    for _ in range(t):  # the network changes between the rounds
        row = _rows_for(rng, 1, model)
        memory.add(gradient_factors(model, row))
        played = np.vstack([played, plain_gradients(model, row).numpy()])
        with torch.no_grad():
            for value in model.parameters():
                value.add_(0.3 * torch.from_numpy(rng.standard_normal(value.shape)))
    g = plain_gradients(model, arms).numpy()
    expected = _bonus_by_inversion(played, g, ridge, c)
    scale = c * (g**2).sum(axis=1) / ridge
    ours = memory.bonus(gradient_factors(model, arms)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-7, atol=1e-10 * max(1, scale.max()))
    assert (expected >= 0).all()
    assert (expected <= scale * (1 + 1e-12)).all()


def test_prop_dual_bonus_by_hand_needs_c_twice():
    g, played, ridge, c = np.array([2.0, 1.0]), np.array([[1.0, 1.0]]), 0.5, 0.25
    k, m = c * played @ g, ridge + c * 2
    ours = (c * 5 - k[0] ** 2 / m) / ridge
    (expected,) = _bonus_by_inversion(played, g[None], ridge, c)
    assert ours == pytest.approx(expected, rel=1e-12)
    assert (c * 5 - c * 9 / m) / ridge != pytest.approx(expected, rel=0.1)  # c once


@given(seeds, st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_prop_layerwise_kernel_equals_inner_products(seed: int, depth: int, k: int, t: int):
    one, two = (_scaled_mlp(np.random.default_rng(seed), depth, nu) for nu in (1.0, 2.5))
    rng = np.random.default_rng(seed + 1)
    with torch.no_grad():
        for value in two.parameters():  # the same shape, other parameters
            value.copy_(torch.from_numpy(rng.standard_normal(value.shape)))
    x, y = _rows_for(rng, k, one), _rows_for(rng, t, two)
    first, second = plain_gradients(one, x), plain_gradients(two, y)
    kernel = gradient_factors(one, x).kernel(gradient_factors(two, y))
    assert torch.allclose(kernel, first @ second.T, rtol=1e-8, atol=1e-9)
    squares = gradient_factors(one, x).squared_norms()
    assert torch.allclose(squares, first.square().sum(dim=1), rtol=1e-9, atol=1e-12)


def test_prop_layerwise_kernel_operations_by_pytorch_s_counter():
    model = score_network(5, (6, 8))
    here, there = (gradient_factors(model, torch.ones(n, 5, dtype=torch.float64)) for n in (4, 9))
    s = sum(w + h for w, h, _ in here.shapes)
    with FlopCounterMode(display=False) as counter:
        here.kernel(there)
    assert counter.get_total_flops() == 2 * 4 * 9 * s


@few
@given(seeds, st.integers(1, 12), st.integers(1, 6), st.floats(0.1, 3), st.floats(0.05, 2))
def test_prop_growing_cholesky_row_by_row(seed: int, t: int, p: int, ridge: float, c: float):
    G = np.random.default_rng(seed).standard_normal((t, p))
    M = ridge * np.eye(t) + c * G @ G.T
    factor = GrowingCholesky((), ridge, torch.float64, torch.device("cpu"))
    for n in range(t):
        before = factor.times(torch.eye(n, dtype=torch.float64)).numpy()
        factor.append(torch.from_numpy(M[:n, n].copy()), torch.tensor(M[n, n]))
        after = factor.times(torch.eye(n + 1, dtype=torch.float64)).numpy()
        ell = np.linalg.solve(np.linalg.cholesky(M[:n, :n]), M[:n, n])
        q = M[n, n] - ell @ ell
        assert q >= ridge * (1 - 1e-10)
        (bonus,) = _bonus_by_inversion(G[:n], G[n : n + 1], ridge, c)
        assert q == pytest.approx(ridge * (1 + bonus), rel=1e-7)
        np.testing.assert_array_equal(after[:n, :n], before)  # the past is not touched
        np.testing.assert_allclose(after[n, :n], -ell @ before / np.sqrt(q), rtol=1e-6, atol=1e-8)
        assert after[n, n] == pytest.approx(1 / np.sqrt(q))
        fresh = np.linalg.inv(np.linalg.cholesky(M[: n + 1, : n + 1]))
        np.testing.assert_allclose(after, fresh, rtol=1e-6, atol=1e-8)
    k = np.random.default_rng(seed + 1).standard_normal(t)
    solved = factor.times(torch.from_numpy(k)[:, None]).numpy()
    assert (solved**2).sum() == pytest.approx(k @ np.linalg.solve(M, k), rel=1e-7)
    _, log_det = np.linalg.slogdet(M)
    assert -2 * np.log(np.diag(after)).sum() == pytest.approx(log_det, abs=1e-8)


@few
@given(seeds, st.integers(1, 4), st.integers(0, 6), st.floats(0.1, 3), st.floats(0.05, 2))
def test_prop_diagonal_bonus_equals_squared_gradients(
    seed: int, depth: int, n: int, ridge: float, c: float
):
    rng = np.random.default_rng(seed)
    model = _scaled_mlp(rng, depth, 1.5)
    memory = DiagonalMemory(model, ridge, c)
    played, arms = _rows_for(rng, n, model), _rows_for(rng, 4, model)
    memory.add(gradient_factors(model, played))
    zeta = np.full(memory.n_parameters, ridge)
    if n:
        zeta += c * (plain_gradients(model, played).numpy() ** 2).sum(axis=0)
    np.testing.assert_allclose(memory.diagonal.numpy(), zeta, rtol=1e-9)
    expected = c * (plain_gradients(model, arms).numpy() ** 2 / zeta).sum(axis=1)
    ours = memory.bonus(gradient_factors(model, arms)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-12)


def test_prop_diagonal_bonus_errs_to_both_sides():
    model = torch.nn.Linear(2, 1, bias=False).double()
    arms = gradient_factors(model, [[1.0, 1.0], [1.0, -1.0]])
    for form, expected in ((FullMemory, [2 / 3, 2.0]), (DiagonalMemory, [1.0, 1.0])):
        memory = form(model)
        memory.add(gradient_factors(model, [[1.0, 1.0]]))
        assert memory.bonus(arms).tolist() == pytest.approx(expected, rel=1e-12)


def test_prop_diagonal_bonus_operations_by_pytorch_s_counter():
    for bias in (False, True):  # the counter sees products; biases are added, K h_l numbers a layer
        model = score_network(5, (6, 8), bias=bias)
        memory, arms = (
            DiagonalMemory(model),
            gradient_factors(model, torch.ones(7, 5, dtype=torch.float64)),
        )
        biases = (6 + 8 + 1) * bias
        for work in (memory.bonus, memory.add):
            with FlopCounterMode(display=False) as counter:
                work(arms)
            assert counter.get_total_flops() == 2 * 7 * (memory.n_parameters - biases)


# ------------------------------------------------ appendix A


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 999))
def test_lem_linear_layer_gradients_are_outer_products(m: int, n: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    weight, bias, x = (
        torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True)
        for size in ((m, n), (m,), (n,))
    )
    z = weight @ x + bias
    delta = torch.tanh(z.detach()) + 1  # any differentiable L: here dL/dz = tanh(z) + 1
    (torch.log(torch.cosh(z)) + z).sum().backward()
    assert torch.allclose(weight.grad, torch.outer(delta, x.detach()), atol=1e-12)
    assert torch.allclose(bias.grad, delta, atol=1e-12)
    assert torch.allclose(x.grad, weight.detach().T @ delta, atol=1e-12)


@given(seeds, sizes, st.floats(0.05, 5))
def test_lem_positive_definite_facts(seed: int, d: int, ridge: float):
    rng = np.random.default_rng(seed)
    a, v, w = _positive_definite(rng, d), rng.standard_normal(d), rng.standard_normal(d)
    values = np.linalg.eigvalsh(a)
    assert np.prod(values) == pytest.approx(np.linalg.det(a))
    assert np.sum(values) == pytest.approx(np.trace(a))
    assert np.linalg.eigvalsh(np.linalg.inv(a)).min() > 0
    assert _norm(v + w, a) <= _norm(v, a) + _norm(w, a) + 1e-12
    np.linalg.cholesky(a)  # refuses what is not positive definite
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(a - 1.01 * values[0] * np.eye(d))
    rows = rng.standard_normal((rng.integers(0, 4), d))
    wider = np.linalg.inv(ridge * np.eye(d) + rows.T @ rows)
    assert _norm(v, wider) <= np.linalg.norm(v) / np.sqrt(ridge) + 1e-9


@given(seeds, sizes)
def test_lem_cauchy_schwarz_and_its_equality(seed: int, d: int):
    rng = np.random.default_rng(seed)
    a, x, z = _positive_definite(rng, d), rng.standard_normal(d), rng.standard_normal(d)
    inverse = np.linalg.inv(a)
    assert abs(x @ z) <= _norm(x, inverse) * _norm(z, a) * (1 + 1e-9)
    assert abs(x @ inverse @ z) <= _norm(x, inverse) * _norm(z, inverse) * (1 + 1e-9)
    parallel = inverse @ x
    assert x @ parallel == pytest.approx(_norm(x, inverse) * _norm(parallel, a))


@given(seeds, sizes)
def test_lem_quadratic_gradient_convexity_and_minimum(seed: int, d: int):
    rng = np.random.default_rng(seed)
    a, b, c = _positive_definite(rng, d), rng.standard_normal(d), rng.standard_normal()
    theta, other, s = rng.standard_normal(d), rng.standard_normal(d), rng.uniform(0.05, 0.95)

    def q(v: np.ndarray) -> float:
        return v @ a @ v - 2 * b @ v + c

    ta, tb = torch.as_tensor(a), torch.as_tensor(b)
    point = torch.as_tensor(theta).requires_grad_()
    (gradient,) = torch.autograd.grad(point @ ta @ point - 2 * tb @ point, point)
    np.testing.assert_allclose(gradient.numpy(), 2 * a @ theta - 2 * b, atol=1e-10)
    hessian = torch.autograd.functional.hessian(lambda v: v @ ta @ v - 2 * tb @ v, point.detach())
    np.testing.assert_allclose(hessian.numpy(), 2 * a, atol=1e-10)
    gap = s * q(theta) + (1 - s) * q(other) - q(s * theta + (1 - s) * other)
    assert gap == pytest.approx(s * (1 - s) * _norm(theta - other, a) ** 2)
    best = np.linalg.solve(a, b)
    assert q(theta) == pytest.approx(_norm(theta - best, a) ** 2 + c - b @ best, abs=1e-8)


# ------------------------------------------------ appendix B


@given(probability, inner)
def test_lem_gibbs_divergence_is_positive_off_the_diagonal(p: float, q: float):
    gap = excess_loss(np.array([p]), np.array([q]))
    assert gap >= -1e-15
    if abs(p - q) > 1e-6:
        assert gap > 0
        assert gap >= 2 * (p - q) ** 2 * (1 - 1e-6)  # Pinsker's inequality, an independent bound
    assert excess_loss(np.array([q]), np.array([q])) == 0


@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1)), min_size=2, max_size=6),
    st.floats(-8, 8),
)
def test_lem_hoeffding_bounds_the_moment_generating_function(atoms: list, lam: float):
    values, weights = (np.array(column) for column in zip(*atoms, strict=True))
    weights = weights / weights.sum()
    centred = values - weights @ values
    width = values.max() - values.min()
    assert np.log(weights @ np.exp(lam * centred)) <= lam**2 * width**2 / 8 + 1e-9


def test_lem_hoeffding_is_sharp_for_a_fair_coin():
    lam = 1e-3
    log_mgf = np.log(np.cosh(lam / 2))  # a fair coin on -1/2, 1/2
    assert log_mgf == pytest.approx(lam**2 / 8, rel=1e-5)


@pytest.mark.parametrize("delta", [0.3, 0.1, 0.02])
def test_thm_hoeffding_holds_with_the_stated_probability(delta: float):
    rng = np.random.default_rng(3)
    n, samples = 50, 40_000
    half = rng.random((samples, n)) < 0.5  # the least favourable variance
    broken = np.mean(np.abs(half.sum(axis=1) - n / 2) > np.sqrt(n / 2 * np.log(2 / delta)))
    assert 0 < broken <= delta  # not vacuous: it does happen


@given(st.integers(0, 10_000), st.floats(-0.99, 0.99))
def test_lem_paired_variance_identity(seed: int, rho: float):
    rng = np.random.default_rng(seed)
    first = rng.standard_normal(50)
    second = rho * first + np.sqrt(1 - rho**2) * rng.standard_normal(50)
    correlation = np.corrcoef(first, second)[0, 1]
    wanted = first.var() + second.var() - 2 * correlation * first.std() * second.std()
    assert (first - second).var() == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_lem_paired_variance_policies_of_one_shop_are_correlated():
    rates = []
    for seed in range(12):
        shop = Shop(seed=seed)
        log = shop.log(20_000)
        field = _fixed_policies(shop, log)
        rates.append(
            [run(shop, *field[n], shop.now, 1_000).mu.mean() for n in ("logistic", "popular")]
        )
    first, second = np.array(rates).T
    assert (first - second).var(ddof=1) < first.var(ddof=1) + second.var(ddof=1)


@given(seeds)
def test_lem_conditional_rules_on_a_finite_space(seed: int):
    rng, size = np.random.default_rng(seed), 12
    chance = rng.dirichlet(np.ones(size))
    fine = rng.integers(0, 5, size)  # blocks of the larger history
    coarse = np.where(fine < 2, 0, np.where(fine < 4, 1, 2))  # unions of them
    y = rng.exponential(size=size)

    def given_block(v: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        mass = np.maximum(np.bincount(blocks, chance, 5), 1e-300)
        return (np.bincount(blocks, chance * v, 5) / mass)[blocks]

    np.testing.assert_allclose(given_block(given_block(y, fine), coarse), given_block(y, coarse))
    assert chance @ given_block(y, fine) == pytest.approx(chance @ y)
    z = rng.exponential(size=5)[coarse]
    np.testing.assert_allclose(given_block(z * y, coarse), z * given_block(y, coarse))
    below = [(chance * (y - z) * (coarse == block)).sum() <= 0 for block in range(3)]
    here = [np.all((given_block(y, coarse) <= z)[coarse == block]) for block in range(3)]
    for smaller, holds, block in zip(below, here, range(3), strict=True):
        if (coarse == block).any():
            assert smaller == holds
    signed = rng.standard_normal(size)
    wanted = 2 * given_block(y, coarse) - 3 * given_block(signed, coarse)
    np.testing.assert_allclose(given_block(2 * y - 3 * signed, coarse), wanted, atol=1e-12)
    assert (given_block(signed, coarse) <= given_block(signed + y, coarse)).all()


@given(st.floats(0, 1), st.floats(-30, 30))
def test_lem_subgaussian_clicks_have_one_half(p: float, u: float):
    log_mgf = np.logaddexp(np.log1p(-p) if p < 1 else -np.inf, u + np.log(p) if p else -np.inf)
    assert log_mgf - u * p <= u**2 * 0.5**2 / 2 + 1e-9


def test_lem_subgaussian_one_half_is_needed_and_means_vanish():
    u = 0.01
    assert np.log(np.cosh(u / 2)) > u**2 * 0.49**2 / 2  # a fair coin
    shifted = np.log(np.cosh(u / 2)) + 0.05 * u  # a mean that is not zero: no constant of order 1
    assert shifted > u**2 * 2.0**2 / 2


@given(seeds)
def test_lem_subgaussian_multiplier_may_depend_on_the_past(seed: int):
    rng = np.random.default_rng(seed)
    p, multiplier = rng.random(6), rng.normal(0, 3, 6)  # one of each for six pasts
    left = p * np.exp(multiplier * (1 - p)) + (1 - p) * np.exp(-multiplier * p)
    assert (left <= np.exp(multiplier**2 / 8) * (1 + 1e-12)).all()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_lem_ville_is_an_equality_for_double_or_nothing(k: int):
    paths = np.array(list(product((0, 2), repeat=7)))
    fortune = np.hstack([np.ones((len(paths), 1)), np.cumprod(paths, axis=1)])
    assert (fortune.max(axis=1) >= 2**k).mean() == pytest.approx(2.0**-k, abs=1e-15)


@given(seeds, st.floats(1.01, 20))
def test_lem_ville_over_all_paths_of_an_adaptive_gambler(seed: int, c: float):
    rng, length = np.random.default_rng(seed), 9
    stakes, edge = rng.uniform(0, 1, (length, 64)), rng.uniform(0, 0.1)
    reached = expected_end = 0.0
    for path in product((0, 1), repeat=length):
        fortune, top, chance = 1.0, 1.0, 1.0
        for t, win in enumerate(path):
            stake = stakes[t, int(fortune * 1000) % 64] * fortune  # never more than there is
            chance *= (1 - edge) / 2 if win else (1 + edge) / 2
            fortune += stake if win else -stake
            top = max(top, fortune)
        reached += chance * (top >= c)
        expected_end += chance * fortune
    assert expected_end <= 1 + 1e-12
    assert reached <= 1 / c + 1e-12


def test_lem_exponential_supermartingale_step_by_step_and_in_total():
    rows, theta, n = np.array([[1.0, 0.2], [0.3, 0.9]]), np.array([0.3, 0.45]), 8
    directions = 2 * np.random.default_rng(0).standard_normal((40, 2))
    mean, too_small = np.zeros((n + 1, 40)), np.zeros(40)
    for chance, stops in _tree(n, rows, theta):
        for t, (a, xi, _) in enumerate(stops):
            spent = np.einsum("ki,ij,kj->k", directions, a - np.eye(2), directions)
            mean[t] += chance * np.exp(directions @ xi - 0.5**2 / 2 * spent)
        too_small += chance * np.exp(directions @ xi - 0.3**2 / 2 * spent)
    np.testing.assert_allclose(mean[0], 1)
    assert np.diff(mean, axis=0).max() <= 1e-12
    assert too_small.max() > 1.01  # a smaller constant would not do


@given(st.floats(-3, 3), st.floats(0, 5), st.floats(0.2, 3), st.floats(0.3, 2))
def test_lem_gaussian_mixture_by_quadrature(xi: float, v: float, ridge: float, kappa: float):
    def integrand(u: float) -> float:
        density = np.sqrt(kappa**2 * ridge / (2 * np.pi)) * np.exp(-(kappa**2) * ridge * u**2 / 2)
        return np.exp(u * xi - kappa**2 * u**2 * v / 2) * density

    a = ridge + v
    peak, spread = xi / (kappa**2 * a), 1 / (kappa * np.sqrt(a))
    value, _ = quad(integrand, peak - 12 * spread, peak + 12 * spread)
    assert value == pytest.approx(np.sqrt(ridge / a) * np.exp(xi**2 / (2 * kappa**2 * a)), rel=1e-7)


def test_lem_gaussian_mixture_in_two_dimensions():
    xi, kappa, ridge = np.array([0.8, -0.5]), 0.7, 1.3
    v = np.array([[1.0, 0.4], [0.4, 0.5]])
    prior = multivariate_normal(np.zeros(2), np.eye(2) / (kappa**2 * ridge))

    def integrand(first: float, second: float) -> float:
        u = np.array([first, second])
        return np.exp(u @ xi - kappa**2 / 2 * u @ v @ u) * prior.pdf(u)

    a = ridge * np.eye(2) + v
    wanted = np.sqrt(ridge**2 / np.linalg.det(a)) * np.exp(
        xi @ np.linalg.solve(a, xi) / (2 * kappa**2)
    )
    assert dblquad(integrand, -9, 9, -9, 9, epsabs=1e-5)[0] == pytest.approx(wanted, rel=1e-4)


POWERS = st.lists(
    st.tuples(st.floats(1e-3, 1e3), st.integers(-4, 12).map(lambda c: c / 4)),
    min_size=2,
    max_size=5,
    unique_by=lambda term: term[1],
)


@example([(1.0, 2.0), (1.0, 3.0)], [0.0, 1.0])  # every term is zero in floating point, far out
@given(POWERS, st.lists(st.floats(-2, 2), min_size=2, max_size=8, unique=True))
def test_prop_mixed_exponents_mean_of_shares_rising_and_around_every_fit(terms, logarithms):
    factors_, exponents = (np.array(column)[:, None] for column in zip(*terms, strict=True))
    u = np.sort(np.array(logarithms))
    u = u[np.diff(u, prepend=-9.0) > 1e-3]

    def total(u: np.ndarray) -> np.ndarray:
        return (factors_ * np.exp(exponents * u)).sum(axis=0)

    def slope(u: np.ndarray) -> np.ndarray:
        logs = np.log(factors_) + exponents * u  # far out the terms themselves are all zero
        parts = np.exp(logs - logs.max(axis=0))
        return (parts / parts.sum(axis=0) * exponents).sum(axis=0)

    h = 1e-5
    numeric = (np.log(total(u + h)) - np.log(total(u - h))) / (2 * h)
    assert slope(u) == pytest.approx(numeric, abs=1e-6)
    far = slope(np.array([-400.0, *u, 200.0]))
    assert far[0] == pytest.approx(exponents.min(), abs=1e-6)
    assert far[-1] == pytest.approx(exponents.max(), abs=1e-6)
    assert (np.diff(far) >= -1e-12).all()
    if len(u) >= 2:
        fit = power_exponents(np.exp(u), total(u))
        assert slope(u[0]) - 1e-9 <= fit <= slope(u[-1]) + 1e-9
        if slope(u[-1]) - slope(u[0]) > 1e-6:
            assert slope(u[0]) < fit < slope(u[-1])
