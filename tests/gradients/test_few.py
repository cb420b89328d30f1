"""A few rows without torch: the same factors, and the same diagonal."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.gradients import FewFactors, few_factors, gradient_factors, take_apart
from recsys.neural import NeuralThompson, NeuralUCB, Schedule, neuralucb
from recsys.neural.diagonal_memory import DiagonalMemory
from strategies import few, random_mlp, refuses, snapshot


@few
@given(seed=st.integers(0, 999), depth=st.integers(1, 4), k=st.integers(1, 6))
def test_few_factors_are_the_factors(seed: int, depth: int, k: int):
    rng = np.random.default_rng(seed)
    model = random_mlp(rng, depth)
    rows = rng.standard_normal((k, model[0].in_features))
    found, expected = few_factors(take_apart(model), rows), gradient_factors(model, rows)
    assert np.allclose(found.scores, expected.scores, atol=1e-12)
    for (a, delta), (a_t, delta_t, _) in zip(found.layers(), expected.layers(), strict=True):
        assert np.allclose(a, a_t, atol=1e-12)
        assert np.allclose(delta, delta_t, atol=1e-12)


@few
@given(seed=st.integers(0, 999), depth=st.integers(1, 4), n=st.integers(1, 6))
def test_few_rows_teach_and_ask_the_diagonal_as_many_do(seed: int, depth: int, n: int):
    rng = np.random.default_rng(seed)
    model = random_mlp(rng, depth)
    d, one, other = model[0].in_features, *(DiagonalMemory(model, 0.3, 0.7) for _ in range(2))
    for _ in range(3):
        rows, asked = rng.standard_normal((n, d)), rng.standard_normal((4, d))
        one.add(few_factors(take_apart(model), rows))
        other.add(gradient_factors(model, rows))
        bonus = one.bonus(few_factors(take_apart(model), asked))
        assert isinstance(bonus, np.ndarray)
        assert np.allclose(bonus, other.bonus(gradient_factors(model, asked)), rtol=1e-10)
    assert one.rounds == other.rounds == 3 * n
    assert np.allclose(one.diagonal, other.diagonal, rtol=1e-12)


def test_what_does_not_fit_or_is_not_finite_is_refused():
    rng = np.random.default_rng(0)
    model, other = random_mlp(rng, 3, 4), random_mlp(rng, 2, 5)
    memory = DiagonalMemory(model)
    memory.add(few_factors(take_apart(model), rng.standard_normal((2, 4))))
    strange = few_factors(take_apart(other), rng.standard_normal((2, 5)))
    good = few_factors(take_apart(model), rng.standard_normal((2, 4)))
    broken = FewFactors(
        good.scores, (good.activations[0] * np.nan, *good.activations[1:]), good.deltas
    )
    for bad in (strange, broken):
        for call in (memory.bonus, memory.add):
            with refuses("factors", memory):
                call(bad)


OPTIONS = {
    "paper": {},
    "plain": {"init": "torch", "bias": True, "output_scale": "one", "unit_rows": False},
    "greedy": {"alpha": 0.0},
    "single": {"dtype": "float32"},
}
TRAINED = Schedule(steps=3, every=4, batch_size=8, optimiser="adam", learning_rate=0.01)


@pytest.mark.parametrize("kind", [NeuralUCB, NeuralThompson])
@pytest.mark.parametrize("name", OPTIONS)
def test_an_agent_decides_and_learns_the_same_without_torch(name: str, kind: type, monkeypatch):
    def agent() -> NeuralUCB:
        options = {"alpha": 0.4} | OPTIONS[name]
        return kind(3, (8, 6), covariance="diagonal", schedule=TRAINED, **options)

    rng, tolerance = np.random.default_rng(1), 1e-3 if name == "single" else 1e-9
    quick, slow = agent(), agent()
    for t in range(40):
        rows = rng.standard_normal((5, 3))
        monkeypatch.setattr(neuralucb, "FEW", 10**9)
        assert isinstance(quick._found(rows), FewFactors)
        bounds, chosen = quick.ucb(rows), quick.select(rows)
        arm, reward = t % 5, float(rng.random() < 0.5)
        quick.update(arm, rows[arm], reward)
        monkeypatch.setattr(neuralucb, "FEW", 0)
        assert not isinstance(slow._found(rows), FewFactors)
        assert np.allclose(slow.ucb(rows), bounds, rtol=tolerance, atol=tolerance)
        assert slow.select(rows) == chosen or name == "single"
        slow.update(arm, rows[arm], reward)
    assert quick.rounds == slow.rounds == 40


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda agent: pickle.loads(pickle.dumps(agent))])
def test_a_copy_reads_its_own_parameters(copied):
    rng = np.random.default_rng(2)
    agent = NeuralUCB(3, (8,), 0.4, covariance="diagonal", schedule=Schedule(steps=1, every=2))
    rows = rng.standard_normal((5, 3))
    for t in range(6):
        agent.update(t % 5, rows[t % 5], 1.0)
    other, before = copied(agent), snapshot(agent)
    assert np.array_equal(other.ucb(rows), agent.ucb(rows))
    for t in range(6):
        other.update(t % 5, rows[t % 5], 0.0)
    with torch.no_grad():
        for value in other.model.parameters():
            value.mul_(1.5)
    assert snapshot(agent) == before
    assert not np.allclose(other.ucb(rows), agent.ucb(rows))
    with torch.no_grad():
        expected = other.model(torch.from_numpy(rows))[:, 0]
    assert np.allclose(other.estimates(rows)[0], expected, atol=1e-12)
