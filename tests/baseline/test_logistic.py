import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from recsys.baseline import logistic
from recsys.baseline.logistic import LogisticPolicy
from recsys.shop.features import Identifiers, JointFeatures, ObservedFeatures
from recsys.shop.records import Log
from strategies import example_rows, refuses, small_shop


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


# ---------------------------------------------------------------------- rows of somebody's own


def own_design(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Return the design by hand: for each id column a block of columns for each of its ids."""
    m, blocks = len(sizes), []
    features = np.column_stack([np.ones(len(rows)), rows[:, m:]]) if m else rows
    for i, size in enumerate(sizes):
        here = rows[:, i, None] == np.arange(size)
        blocks.append((here[:, :, None] * features[:, None]).reshape(len(rows), -1))
    return np.concatenate(blocks, axis=1) if m else features


@pytest.mark.parametrize(
    ("columns", "sizes"), [([0], (7,)), ([0, 1], (7, 4)), ([0, 1, 2, 3], (7, 4)), ([2, 3], ())]
)
def test_each_id_has_a_weight_vector_of_its_own(columns: list[int], sizes: tuple[int, ...]):
    rows, clicks = example_rows(400)
    rows = rows[:, columns]
    policy = LogisticPolicy(rows, clicks, vocabularies=sizes)
    plain = LogisticRegression(C=0.3, max_iter=500).fit(own_design(rows, sizes), clicks)
    expected = plain.decision_function(own_design(rows, sizes))
    assert policy.logits(rows) == pytest.approx(expected, abs=1e-3)
    assert policy.predict(rows) == pytest.approx(expit(expected), abs=1e-3)
    assert policy.logits(rows.reshape(20, 20, -1)).shape == (20, 20)
    assert policy.logits(np.zeros((0, len(columns)))).shape == (0,)


@pytest.mark.parametrize("kind", [Identifiers, ObservedFeatures, JointFeatures])
def test_a_featurizer_and_its_rows_give_one_regression(kind: type):
    shop = small_shop(2)
    log, seen = shop.log(900), kind(shop)
    rows = seen.rows(log.users, log.products, log.rounds)
    of_shop = LogisticPolicy(seen, log)
    own = LogisticPolicy(rows, log.clicks, vocabularies=seen.vocabularies)
    assert np.array_equal(of_shop.regression.coef_, own.regression.coef_)
    contexts = seen(shop.visits(2_000, 20))
    assert np.array_equal(of_shop.predict(contexts), own.predict(contexts))
    assert (of_shop.n_arms, own.n_arms) == (12, None)
    assert of_shop.predict(contexts).std() > 0.01
    assert len(np.unique(of_shop.select(contexts))) >= 1 + (kind is ObservedFeatures)


@pytest.mark.parametrize("constant", [None, 1.0, -3.0])
def test_an_id_has_a_rate_of_its_own_whether_or_not_a_feature_is_constant(constant: float | None):
    rng = np.random.default_rng(0)
    ids, features = rng.integers(0, 5, 4_000), rng.standard_normal((4_000, 2))
    clicks = rng.random(4_000) < np.where(ids == 3, 0.6, 0.2)
    rows = np.column_stack([ids, features])
    if constant is not None:
        rows = np.column_stack([rows, np.full(4_000, constant)])
    policy = LogisticPolicy(rows, clicks, vocabularies=(5,))
    predicted = policy.predict(rows)
    for i in range(5):
        assert predicted[ids == i].mean() == pytest.approx(clicks[ids == i].mean(), abs=0.02)
    assert policy.adds_constant == (constant is None)


def test_ids_that_the_log_does_not_hold_have_weights_of_zero():
    rows, clicks = example_rows(300)
    policy = LogisticPolicy(rows[:, 1:], clicks, vocabularies=(100_000,))
    assert policy.regression.coef_.size == 300_000  # of a constant and two features
    unknown = policy.logits([[4, 1.0, -1.0], [99_999, 0.0, 5.0]])
    assert np.array_equal(unknown, np.repeat(policy.regression.intercept_, 2))


def test_a_large_id_column_takes_memory_for_its_ids_and_no_more():
    rng = np.random.default_rng(0)
    ids, clicks = rng.integers(0, 100_000, (5_000, 1)), rng.integers(0, 2, 5_000)
    LogisticPolicy(*example_rows(40), vocabularies=(7, 4))  # what is imported is not counted
    tracemalloc.start()
    try:
        policy = LogisticPolicy(ids, clicks, vocabularies=(100_000,))
        policy.predict(np.arange(100_000)[:, None])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 100_000 * 8


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        lambda rng: 1.7e9 + rng.integers(0, 1_000_000, 2_000),  # unix seconds
        lambda rng: 1e160 * rng.normal(size=2_000),
        lambda rng: 1e-9 * rng.normal(size=2_000),
        lambda rng: np.full(2_000, 1e12),
        lambda rng: np.full(2_000, 1e-12),
        lambda rng: np.full(2_000, 3.0),
        lambda rng: np.zeros(2_000),
    ],
)
def test_a_column_of_any_scale_hides_none_of_the_others(ids: bool, values: object):
    rng = np.random.default_rng(1)
    good = rng.normal(size=(2_000, 2))
    clicks = rng.random(2_000) < expit(good[:, 0])
    rows, sizes = np.column_stack([good, values(rng)]), ()
    if ids:
        rows, sizes = np.column_stack([rng.integers(0, 3, 2_000), rows]), (3,)
    policy = LogisticPolicy(rows, clicks, vocabularies=sizes)
    assert log_loss(clicks, policy.predict(rows)) < 0.63
    without = LogisticPolicy(np.delete(rows, -1, axis=1), clicks, vocabularies=sizes)
    assert policy.logits(rows) == pytest.approx(without.logits(rows[:, :-1]), abs=0.4)


def test_columns_of_ordinary_size_are_taken_as_they_are():
    rng = np.random.default_rng(1)
    rows, clicks = rng.uniform(-900, 900, (500, 2)), rng.integers(0, 2, 500)
    assert LogisticPolicy(rows, clicks).scaling is None
    rows[7, 1] = 1_001.0
    shift, scale = LogisticPolicy(rows, clicks).scaling
    assert (shift[0], scale[0]) == (0.0, 1.0)
    assert (shift[1], scale[1]) == pytest.approx((rows[:, 1].mean(), rows[:, 1].std()))


def test_a_fit_that_does_not_converge_warns_in_our_words(monkeypatch: pytest.MonkeyPatch):
    rows, clicks = example_rows(200)
    monkeypatch.setattr(logistic, "ITERATIONS", 1)
    with pytest.warns(RuntimeWarning, match="inverse_penalty") as found:
        LogisticPolicy(rows, clicks, vocabularies=(7, 4))
    assert len(found) == 1
    assert found[0].filename == __file__


def test_contexts_too_large_for_a_finite_logit_are_refused():
    rows, clicks = example_rows(200)
    policy = LogisticPolicy(0.1 * rows[:, 2:], clicks, 1e6)  # so its weights are beyond 1
    for bad in ([1.7e308, 0.0], [1.7e308, 1.7e308]):
        with refuses("contexts", policy.rng):
            policy.predict([[0.0, 0.0], bad])
        with refuses("contexts", policy.rng):
            policy.select([[0.0, 0.0], bad])


@pytest.mark.parametrize("n_arms", [0, 2.0, True, "3"])
def test_a_number_of_arms_that_is_none_is_refused(n_arms: object):
    rows, clicks = example_rows(40)
    with refuses("n_arms"):
        LogisticPolicy(rows, clicks, vocabularies=(7, 4), n_arms=n_arms)
    policy = LogisticPolicy(rows, clicks, vocabularies=(7, 4), n_arms=3)
    with refuses("contexts"):
        policy.select(rows[:4])
