from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.gradients.mlp import take_apart
from recsys.neural.network import score_network
from recsys.neural.training import Replay, Schedule, objective_gradient
from strategies import NOT_NUMBERS, few, random_mlp, refuses, snapshot


@few
@given(seed=st.integers(0, 10_000), depth=st.integers(1, 4), n=st.integers(1, 9))
def test_the_gradient_of_the_objective_is_that_of_autograd(seed: int, depth: int, n: int):
    rng = np.random.default_rng(seed)
    model = random_mlp(rng, depth)
    rows = torch.from_numpy(rng.standard_normal((n, model[0].in_features)))
    rewards = torch.from_numpy(rng.standard_normal(n))
    values = list(model.parameters())
    centre = [torch.from_numpy(rng.standard_normal(value.shape)) for value in values]
    loss = 0.3 * (model(rows)[:, 0] - rewards).square().sum() / 2
    loss = loss + 0.7 * sum((v - c).square().sum() for v, c in zip(values, centre, strict=True)) / 2
    expected = torch.autograd.grad(loss, values)
    with torch.no_grad():
        found = objective_gradient(take_apart(model), rows, rewards, centre, 0.3, 0.7)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)


def example(n: int = 12, **plan: object) -> tuple[torch.nn.Sequential, Replay]:
    model = score_network(3, (6,), seed=1).requires_grad_(False)
    replay, rng = Replay(model, 0.5, Schedule(**plan)), np.random.default_rng(0)
    rows = torch.from_numpy(rng.standard_normal((n, 6)))
    replay.add(rows, torch.from_numpy(rng.random(n)))
    return model, replay


def loss_of(model: torch.nn.Module, replay: Replay) -> float:
    """Return the objective of the paper by hand."""
    mlp = replace(take_apart(model), inputs=())
    first, last = mlp.weights
    f = 6**0.5 * (replay.rows.rows @ first.T).relu() @ last.T
    errors = (f - replay.rewards.rows).square().sum() / 2
    moved = zip(model.parameters(), replay.initial, strict=True)
    return float(errors + 6 * 0.5 * sum((v - c).square().sum() for v, c in moved) / 2)


def test_training_goes_downhill_at_the_step_of_the_theorem():
    losses = []
    for steps in (1, 2, 5, 20, 100, 400):
        model, replay = example(steps=steps)
        losses.append(loss_of(model, replay))
        replay.train(model)
        losses.append(loss_of(model, replay))
    assert len(set(losses[::2])) == 1
    assert (np.diff([losses[0], *losses[1::2]]) < 0).all()


def test_one_step_by_hand():
    model, replay = example(1, steps=1, learning_rate=0.3)
    x, r = replay.rows.rows[0], replay.rewards.rows[0, 0]
    W, w = (value.clone() for value in model.parameters())
    replay.train(model)
    # at θ₀ nothing pulls, so the step along ∂f/∂w = √6 σ(Wx) is η (r - f) √6 σ(Wx)
    f = 6**0.5 * w[0] @ (W @ x).relu()
    eta = 0.3 / (6 * 0.5 + 6 * 2 * 1)
    expected = w[0] + eta * (r - f) * 6**0.5 * (W @ x).relu()
    assert torch.allclose(list(model.parameters())[1][0], expected)


def test_from_the_start_or_from_where_it_ended():
    model, replay = example(steps=3)
    replay.train(model)
    once = snapshot(model)
    replay.train(model)
    assert snapshot(model) == once
    warm, other = example(steps=3, restart=False)
    other.train(warm)
    assert snapshot(warm) == once
    other.train(warm)
    assert snapshot(warm) != once


def test_rounds_are_never_forgotten():
    _, replay = example(200, steps=1)
    extra = torch.ones(1, 6, dtype=torch.float64)
    for _ in range(100):
        replay.add(extra, torch.ones(1, dtype=torch.float64))
    assert replay.n == 300
    assert replay.rows.rows.shape == (300, 6)
    rows, rewards, share = replay._batch()
    assert (len(rows), len(rewards), share) == (300, 300, 1.0)


def test_batches_are_drawn_from_all_rounds():
    _, replay = example(40, batch_size=10)
    marks = torch.arange(40.0, dtype=torch.float64)
    replay.rewards.rows[:, 0] = marks
    seen = []
    for _ in range(400):
        rows, rewards, share = replay._batch()
        assert rows.shape == (10, 6)
        assert share == 0.25
        assert torch.equal(rows, replay.rows.rows[rewards.long()])
        seen.append(rewards)
    counts = torch.bincount(torch.cat(seen).long(), minlength=40)
    assert counts.min() > 50  # each about 100 times
    assert example(8, batch_size=10)[1]._batch()[2] == 1.0


def test_training_that_diverges_leaves_the_network_as_it_was():
    model, replay = example(steps=500, step="constant", learning_rate=10.0)
    with refuses("schedule", model):
        replay.train(model)


def test_when_a_training_is_due():
    plan = Schedule(every=10, first=25)
    assert [n for n in range(1, 60) if plan.due(n)] == [25, 35, 45, 55]
    assert all(Schedule().due(n) for n in range(1, 9))


def test_settings_outside_their_range_are_refused():
    for name in ("steps", "every", "first", "batch_size"):
        for value in (0, -1, 2.0, True, "3", np.nan):
            with refuses(name):
                Schedule(**{name: value})
    for value in (0.0, -1.0, 1e4, *NOT_NUMBERS):
        with refuses("learning_rate"):
            Schedule(learning_rate=value)
    for value in (-1, 2.0, *NOT_NUMBERS):
        with refuses("seed"):
            Schedule(seed=value)
    for name in ("step", "towards", "loss", "replay", "gradient_at", "optimiser"):
        for value in ("other", None, 3):
            with refuses(name):
                Schedule(**{name: value})
    for value in (0, 1, None, "yes"):
        with refuses("restart"):
            Schedule(restart=value)


@pytest.mark.parametrize("batch", [None, 5])
def test_the_same_seed_trains_the_same_network(batch: int | None):
    trained = []
    for seed in (0, 0, 1):
        model, replay = example(steps=4, batch_size=batch, seed=seed)
        replay.train(model)
        trained.append(snapshot(model))
    assert trained[0] == trained[1]
    assert (trained[0] == trained[2]) == (batch is None)
