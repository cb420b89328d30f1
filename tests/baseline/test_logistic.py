import numpy as np
import pytest
from scipy.optimize import minimize

from recsys.baseline.logistic import LogisticPolicy
from recsys.shop.features import ObservedFeatures
from recsys.shop.records import Log
from strategies import refuses, small_shop


def dense_rows(rows: np.ndarray, n_arms: int) -> np.ndarray:
    """Return the design with one block of columns per product, filled row by row."""
    d = rows.shape[1] - 1
    design = np.zeros((len(rows), n_arms * d))
    for i, row in enumerate(rows):
        arm = int(row[0])
        design[i, arm * d : (arm + 1) * d] = row[1:]
    return design


def test_predictions_are_those_of_the_penalised_maximum_likelihood_fit():
    shop = small_shop(1, n_products=3, base_logit=-2.0)
    log = shop.log(800)
    featurizer = ObservedFeatures(shop)
    policy = LogisticPolicy(featurizer, log, inverse_penalty=0.5)
    design = dense_rows(featurizer.rows(log.users, log.products, log.rounds), 3)

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        z = beta[0] + design @ beta[1:]
        residual = 1 / (1 + np.exp(-z)) - log.clicks
        value = np.logaddexp(0, z).sum() - log.clicks @ z + beta[1:] @ beta[1:]  # 1 / (2 C) = 1
        return value, np.concatenate([[residual.sum()], design.T @ residual + 2 * beta[1:]])

    beta = minimize(loss, np.zeros(1 + design.shape[1]), jac=True, tol=1e-10).x
    contexts = featurizer(shop.visits(2_000, 30))
    z = beta[0] + dense_rows(contexts.reshape(90, -1), 3) @ beta[1:]
    expected = (1 / (1 + np.exp(-z))).reshape(30, 3)
    assert np.allclose(policy.predict(contexts), expected, atol=2e-3)
    shown = policy.select(contexts)
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 5e-3
    assert clear.sum() > 10
    assert np.array_equal(shown[clear], expected.argmax(axis=1)[clear])


def test_the_policy_is_fixed_and_reproducible():
    shop = small_shop(1)
    log = shop.log(500)
    one, other = (LogisticPolicy(ObservedFeatures(shop), log) for _ in range(2))
    contexts = ObservedFeatures(shop)(shop.visits(0, 9))
    before = one.predict(contexts)
    assert np.array_equal(before, other.predict(contexts))
    assert not one.learns
    one.update(0, contexts[0, 0], 1.0)
    assert np.array_equal(one.predict(contexts), before)


@pytest.mark.parametrize("penalty", [0.0, -1.0, np.nan, np.inf, None, True, "0.3"])
def test_a_penalty_outside_its_range_is_refused(penalty: object):
    shop = small_shop(1)
    with refuses("inverse_penalty"):
        LogisticPolicy(ObservedFeatures(shop), shop.log(200), penalty)


def test_a_log_of_one_class_is_refused():
    shop = small_shop(1)
    log = shop.log(100)
    silent = Log(log.rounds, log.users, log.products, np.zeros(100), log.propensities)
    with refuses("log"):
        LogisticPolicy(ObservedFeatures(shop), silent)


@pytest.mark.parametrize("fault", [(0, -1.0), (0, 12.0), (0, 1.5), (0, np.nan), (4, np.inf)])
def test_contexts_with_a_bad_value_are_refused(fault: tuple[int, float]):
    shop = small_shop(1)
    policy = LogisticPolicy(ObservedFeatures(shop), shop.log(300))
    contexts = ObservedFeatures(shop)(shop.visit(0))
    contexts[3, fault[0]] = fault[1]
    with refuses("contexts", policy.rng):
        policy.predict(contexts)
    with refuses("contexts", policy.rng):
        policy.select(contexts)


def test_contexts_of_a_wrong_length_are_refused():
    shop = small_shop(1)
    policy = LogisticPolicy(ObservedFeatures(shop), shop.log(300))
    for bad in (np.zeros((12, 9)), np.zeros((12, 11)), 1.0, "rows", None):
        with refuses("contexts", policy.rng):
            policy.predict(bad)
