"""The decision among very many arms is that of all the bounds, and few of them are computed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.gradients.backprop import Factors, gradient_factors
from recsys.neural import neuralucb, pruning
from recsys.neural.bonus import FORMS
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.growing import GrowingCholesky
from recsys.neural.network import score_network
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.pruning import contenders
from recsys.neural.relatives import NeuralLinear, NeuralThompson
from recsys.neural.schedule import Schedule
from strategies import few, modest, random_mlp


def taught(rounds: int, seed: int, hidden: tuple = (8, 6), **options: object) -> NeuralUCB:
    rng = np.random.default_rng(seed)
    plan = Schedule(steps=3, every=4, learning_rate=0.5)
    policy = NeuralUCB(3, hidden, seed=seed, schedule=plan, **options)
    for _ in range(rounds):
        row = rng.standard_normal(3)
        policy.update(0, row, float(row[0] > 0))
    return policy


@pytest.mark.parametrize("covariance", FORMS)
@modest
@given(
    data=st.data(),
    seed=st.integers(0, 10_000),
    rounds=st.sampled_from([0, 1, 7, 40]),
    alpha=st.sampled_from([0.0, 1e-3, 0.3, 5.0]),
    ridge=st.sampled_from([0.01, 1.0, 9.0]),
    bias=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_the_arm_is_that_with_the_largest_of_all_bounds(
    covariance: str,
    data: st.DataObject,
    seed: int,
    rounds: int,
    alpha: float,
    ridge: float,
    bias: bool,
    dtype: str,
):
    options = {"alpha": alpha, "ridge": ridge, "bias": bias, "dtype": dtype}
    policy = taught(rounds, seed, covariance=covariance, **options)
    k = data.draw(st.integers(2, 60))
    rows = np.random.default_rng(seed).standard_normal((k, 3))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=k, max_size=k).filter(any)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neuralucb, "ARMS", 1)
        if policy.memory is not None:
            size = data.draw(st.integers(1, 70))
            patch.setattr(pruning, "looked_at", lambda memory: size)
        for available in (None, mask):
            bounds = policy.ucb(rows)
            bounds = np.where(mask, bounds, -np.inf) if available is not None else bounds
            arm = policy.select(rows, available)
            # rows of one batch and of another agree to rounding, and so do these
            slack = 1e-5 if dtype == "float32" else 1e-11
            assert bounds[arm] >= bounds.max() - slack * max(1.0, abs(bounds.max()))
            if np.sort(bounds)[-2] < bounds.max() - 1e-4:
                assert arm == bounds.argmax()


# Products of whole gradients round by their place in a batch: the dual form promises no exact ties.
@pytest.mark.parametrize("covariance", [form for form in FORMS if form != "dual"])
def test_arms_that_look_alike_are_tied_as_ever(covariance: str, monkeypatch):
    policy = taught(30, 1, covariance=covariance)
    rows = np.random.default_rng(2).standard_normal((40, 3))
    best = int(policy.ucb(rows).argmax())
    rows[[3, 17, 38]] = rows[best]
    monkeypatch.setattr(neuralucb, "ARMS", 8)
    alike = {3, 17, 38, best}
    shown = {policy.select(rows) for _ in range(200)}
    assert shown == alike
    off = np.ones(40, dtype=bool)
    off[[3, best]] = False
    assert {policy.select(rows, off) for _ in range(200)} == alike - {3, best}


@pytest.mark.parametrize(("covariance", "rounds"), [("kernel", 600), ("diagonal", 300)])
def test_few_bounds_are_computed(covariance: str, rounds: int):
    policy = taught(0, 3, (20, 20), covariance=covariance)
    rng = np.random.default_rng(4)
    for row in rng.standard_normal((rounds, 3)):
        policy.memory.add(policy._factors(row[None]))
    rows = rng.standard_normal((6_000, 3))
    left = contenders(policy._factors, policy.memory, policy.alpha, rows)
    bounds = policy.ucb(rows)
    assert bounds.argmax() in left
    assert len(left) < 60
    assert policy.select(rows) == bounds.argmax()
    followed = []
    plain = type(policy.memory)._bonus

    def watched(self: DiagonalMemory, found: Factors) -> torch.Tensor:
        followed.append(len(found.scores))
        return plain(self, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(policy.memory), "_bonus", watched)
        policy.select(rows)
    assert sum(followed) < len(rows)


@few
@given(
    seed=st.integers(0, 10_000),
    depth=st.integers(1, 4),
    rounds=st.integers(0, 300),
    share=st.floats(0.0, 1.2),
)
@pytest.mark.parametrize("covariance", FORMS)
def test_no_rival_is_missing_and_bonuses_are_right(
    covariance: str, seed: int, depth: int, rounds: int, share: float
):
    rng = np.random.default_rng(seed)
    model = random_mlp(rng, depth)
    memory = FORMS[covariance](model, 0.3, 0.5)
    X = torch.from_numpy(rng.standard_normal((rounds + 30, model[0].in_features)))
    memory.add(gradient_factors(model, X[30:]))
    found = gradient_factors(model, X[:30])
    bonus = memory.bonus(found)
    needed = torch.from_numpy(rng.uniform(0, 2 * share, 30)) * bonus.mean()
    which, squared = pruning.rivals(memory)(found, needed)
    assert set(torch.nonzero(bonus >= needed)[:, 0].tolist()) <= set(which.tolist())
    assert torch.allclose(squared, bonus[which], rtol=1e-8, atol=1e-11)


def test_a_majorant_is_nowhere_less():
    rng = np.random.default_rng(5)
    model = score_network(3, (6, 4), init="torch", bias=True)
    memory = DiagonalMemory(model, 0.1)
    memory.add(gradient_factors(model, rng.standard_normal((50, 3))))
    for D, _ in memory.layers_of(memory._inverse):
        u, v = pruning._majorant(D)
        assert (u[:, None] * v >= D * (1 - 1e-12)).all()


def test_strips_are_the_inverse_row_by_row():
    factor = GrowingCholesky((), 1.0, torch.float64, torch.device("cpu"))
    G = torch.from_numpy(np.random.default_rng(6).standard_normal((300, 40)))
    M = G @ G.mT + torch.eye(300)
    for t in range(300):
        factor.append(M[t, :t], M[t, t])
    inverse = torch.linalg.inv(torch.linalg.cholesky(M))
    seen = []
    for rows, strip in factor.strips(100):
        assert torch.allclose(strip, inverse[rows, : rows.stop], atol=1e-9)
        seen += range(rows.start, rows.stop)
    assert seen == list(range(300))


def test_relatives_that_choose_otherwise_look_at_all_arms(monkeypatch):
    monkeypatch.setattr(neuralucb, "ARMS", 4)
    monkeypatch.setattr(neuralucb, "contenders", None)  # would raise if called
    rows = np.random.default_rng(7).standard_normal((9, 3))
    for make in (NeuralThompson, NeuralLinear):
        assert 0 <= make(3, (4,)).select(rows) < 9
    assert NeuralUCB(3, (4,), n_worlds=2).select(np.stack([rows, rows])).shape == (2,)
    assert 0 <= NeuralUCB(3, (4,), alpha=0.0).select(rows) < 9


def test_a_bound_that_is_no_number_is_not_left_out_in_silence():
    policy = taught(3, 8, covariance="diagonal")
    rows = np.random.default_rng(9).standard_normal((neuralucb.ARMS + 1, 3))
    next(policy.model.parameters()).fill_(np.nan)
    with pytest.raises(ValueError, match="model"):
        policy.select(rows)
