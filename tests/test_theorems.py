"""Numerical twins of the numbered results: each test carries the label of the result it tries."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from recsys.baseline import ClickNetwork
from recsys.evaluation import (
    excess_loss,
    expected_log_loss,
    ips_rates,
    irreducible_loss,
    naive_rates,
)
from recsys.experiment import run
from recsys.features import Identifiers, ObservedFeatures, Truth
from recsys.logistic import LogisticPolicy
from recsys.policies import MostPopular, Oracle, RandomPolicy
from recsys.simulator import Shop
from recsys.training import Training, train

probability = st.floats(0.0, 1.0)
inner = st.floats(1e-6, 1 - 1e-6)


# ---------------------------------------------------------------------- chapter 1


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


# ---------------------------------------------------------------------- appendices


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
