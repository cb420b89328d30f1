import numpy as np
import pytest
import torch
from scipy import stats

from recsys.neural.relatives import NeuralLinear, NeuralThompson
from recsys.neural.schedule import Schedule
from strategies import refuses, states_what_it_shows


def taught(kind: type, rounds: int = 12, **settings: object) -> NeuralThompson | NeuralLinear:
    settings.setdefault("schedule", Schedule(steps=4))
    policy, rng = kind(3, (16,), **settings), np.random.default_rng(2)
    for _ in range(rounds):
        policy.update(0, rng.standard_normal(3), rng.random())
    return policy


# ---------------------------------------------------------------------- Thompson sampling


@pytest.mark.parametrize("covariance", ["kernel", "diagonal"])
def test_a_draw_has_the_stated_mean_and_variance(covariance: str):
    policy, n = taught(NeuralThompson, alpha=0.6, ridge=0.5, covariance=covariance), 20_000
    rows = np.random.default_rng(3).standard_normal((5, 3))
    draws = policy.scores(np.tile(rows, (n, 1, 1)))  # (n, 5)
    mean, width = policy.estimates(rows)
    for arm in range(5):
        standard = (draws[:, arm] - mean[arm]) / (0.6 * width[arm])
        assert stats.kstest(standard, "norm").pvalue > 1e-3
    correlation = np.corrcoef(draws.T)[np.triu_indices(5, 1)]
    assert (np.abs(correlation) < 4 / np.sqrt(n)).all()
    assert np.allclose(policy.ucb(rows), mean + 0.6 * width, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mask", [np.ones(5, dtype=bool), np.array([1, 0, 1, 1, 0], dtype=bool)])
def test_thompson_states_the_probability_of_what_it_shows(mask: np.ndarray):
    states_what_it_shows(taught(NeuralThompson, alpha=0.6), mask)


# ---------------------------------------------------------------------- Neural-Linear


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("every", [1, 4, 100])
@pytest.mark.parametrize("alpha", [0.0, 0.8])
def test_the_score_is_linucbs_on_the_last_hidden_layer(bias: bool, every: int, alpha: float):
    plan, ridge = Schedule(steps=4, every=every, first=4), 0.3
    policy = NeuralLinear(3, (6,), alpha, ridge, bias=bias, schedule=plan)
    seen: list[np.ndarray] = []
    hidden = [m for m in policy.model if isinstance(m, torch.nn.ReLU)][-1]
    hidden.register_forward_hook(lambda *parts: seen.append(parts[-1].numpy().copy()))

    def phi(rows: np.ndarray) -> np.ndarray:
        policy.model(torch.from_numpy(np.asarray(rows)))
        units = seen.pop()
        return np.column_stack([units, np.ones(len(units))]) if bias else units

    rng, rows, rewards, stale = np.random.default_rng(4), [], [], []
    for t in range(1, 16):
        row, reward = rng.standard_normal(3), float(rng.random())
        stale.append(phi([row])[0])  # of the network that there was when the row came
        rows.append(row)
        rewards.append(reward)
        policy.update(0, row, reward)
        if plan.due(t):
            stale = list(phi(rows))  # a training changes what all rounds are remembered as
        F, new = np.array(stale), rng.standard_normal((5, 3))
        m = 6 if bias else None
        F, G = F.copy(), phi(new)
        if m:  # √m times the bias' gradient, over √m, and the same for the units
            assert (F[:, -1] == 1).all()
        Z = ridge * np.eye(F.shape[1]) + F.T @ F
        theta = np.linalg.solve(Z, F.T @ np.array(rewards))
        width = np.sqrt(np.einsum("ki,ij,kj->k", G, np.linalg.inv(Z), G))
        assert np.allclose(policy.ucb(new), G @ theta + alpha * width, rtol=0, atol=1e-9)


def test_what_neural_linear_does_not_take_is_refused():
    for covariance in ("kernel", "diagonal"):
        with refuses("covariance"):
            NeuralLinear(3, covariance=covariance)
    for plan in (Schedule(replay="trained"), Schedule(gradient_at="after")):
        with refuses("schedule"):
            NeuralLinear(3, schedule=plan)


def test_a_training_that_diverges_keeps_the_regression_in_step():
    plan = Schedule(steps=500, step="constant", learning_rate=10.0, first=3, every=1_000)
    policy = NeuralLinear(3, (6,), schedule=plan)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 3))
    for row in rows[:2]:
        policy.update(0, row, 1.0)
    with pytest.raises(ValueError, match="diverged"):
        policy.update(0, rows[2], 1.0)
    assert policy.memory.rounds == policy.replay.n == 3
    other = NeuralLinear(3, (6,), schedule=Schedule(first=10))
    for row in rows:
        other.update(0, row, 1.0)
    assert np.allclose(policy.ucb(np.eye(3)), other.ucb(np.eye(3)), rtol=0, atol=1e-12)


def test_neural_linear_reads_a_log_as_if_it_had_waited_with_its_training():
    rng = np.random.default_rng(4)
    rows, rewards = rng.standard_normal((9, 3)), rng.random(9)
    plan = Schedule(steps=7, first=9, every=1_000)
    at_once, by_rounds = (NeuralLinear(3, (6,), 0.5, 0.3, schedule=plan) for _ in range(2))
    at_once.read(rows, rewards, 7)
    for row, reward in zip(rows, rewards, strict=True):
        by_rounds.update(0, row, reward)
    new = rng.standard_normal((5, 3))
    assert np.allclose(at_once.ucb(new), by_rounds.ucb(new), rtol=1e-9, atol=1e-12)
