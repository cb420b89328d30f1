import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recsys.gradients.backprop import Factors, gradient_factors
from recsys.gradients.mlp import Scale, StackedLinear
from recsys.gradients.rows import chunks, n_rows_within
from strategies import few, modest, plain_gradients, random_mlp, refuses


def example(seed: int, depth: int, k: int = 5) -> tuple[nn.Sequential, torch.Tensor]:
    rng = np.random.default_rng(seed)
    model = random_mlp(rng, depth)
    return model, torch.from_numpy(rng.standard_normal((k, model[0].in_features)))


networks = {"seed": st.integers(0, 10_000), "depth": st.integers(1, 4)}


@modest
@given(**networks)
def test_activations_and_deltas_are_what_autograd_sees(seed: int, depth: int):
    model, X = example(seed, depth)
    found, a = gradient_factors(model, X), X
    before: list[torch.Tensor] = []
    for n, module in enumerate(model):
        if isinstance(module, nn.Linear):
            assert torch.allclose(found.activations[n // 2], a, rtol=1e-12, atol=1e-12)
            a = module(a)
            before.append(a)
        else:
            a = module(a)
    deltas = torch.autograd.grad(a.sum(), before)
    assert torch.allclose(found.scores, a[:, 0], rtol=1e-12, atol=1e-12)
    for delta, expected in zip(found.deltas, deltas, strict=True):
        assert torch.allclose(delta, expected, rtol=1e-12, atol=1e-12)


@modest
@given(**networks, others=st.integers(0, 6))
def test_inner_products_follow_from_the_factors_alone(seed: int, depth: int, others: int):
    model, X = example(seed, depth, 5 + others)
    g = plain_gradients(model, X)
    left, right = gradient_factors(model, X[:5]), gradient_factors(model, X[5:])
    size = float(g.square().sum(dim=1).max())
    assert left.n_parameters == g.shape[1]
    assert left.kernel(right).shape == (5, others)
    assert torch.allclose(left.kernel(right), g[:5] @ g[5:].T, rtol=0, atol=1e-12 * size)
    norms = g[:5].square().sum(dim=1)
    assert torch.allclose(left.squared_norms(), norms, rtol=0, atol=1e-12 * size)
    assert torch.allclose(left.kernel(left).diagonal(), norms, rtol=0, atol=1e-12 * size)


@few
@given(**networks, factor=st.floats(0.01, 100))
def test_what_is_put_around_the_layers_counts(seed: int, depth: int, factor: float):
    model, X = example(seed, depth)
    wide = X.repeat_interleave(2, dim=1)  # halved again by the map of rows

    class EverySecond(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., ::2]

    whole = nn.Sequential(EverySecond(), *model, Scale(factor))
    g = gradient_factors(whole, wide).gradients()
    assert torch.allclose(g, plain_gradients(whole, wide), rtol=1e-12, atol=1e-12 * factor)
    assert torch.allclose(g, factor * plain_gradients(model, X), rtol=1e-12, atol=1e-12 * factor)


@pytest.mark.parametrize("bias", [True, False])
def test_stacked_networks_are_one_network_in_each_world(bias: bool):
    rng = np.random.default_rng(0)
    stacked = nn.Sequential(StackedLinear(3, 4, 5, bias), nn.ReLU(), StackedLinear(3, 5, 1, bias))
    stacked = stacked.double()
    for value in stacked.parameters():
        value.data.copy_(torch.from_numpy(rng.standard_normal(value.shape)))
    X = torch.from_numpy(rng.standard_normal((3, 6, 4)))
    found = gradient_factors(stacked, X)
    assert found.gradients().shape == (3, 6, found.n_parameters)
    assert found.kernel(found).shape == (3, 6, 6)
    for world in range(3):
        alone = nn.Sequential(nn.Linear(4, 5, bias), nn.ReLU(), nn.Linear(5, 1, bias)).double()
        for mine, all_worlds in zip(alone.parameters(), stacked.parameters(), strict=True):
            mine.data.copy_(all_worlds[world])
        g = plain_gradients(alone, X[world])
        assert torch.allclose(found.scores[world], alone(X[world])[:, 0], atol=1e-12)
        assert torch.allclose(found.gradients()[world], g, atol=1e-12)
        assert torch.allclose(found.kernel(found)[world], g @ g.T, atol=1e-10)
        assert torch.allclose(found.squared_norms()[world], (g * g).sum(dim=1), atol=1e-10)


def test_rows_and_layers_can_be_taken_out():
    model, X = example(3, 3)
    found, g = gradient_factors(model, X), plain_gradients(model, X)
    assert torch.allclose(found.rows(slice(1, 3)).gradients(), g[1:3])
    assert torch.equal(found.rows(slice(1, 3)).scores, found.scores[1:3])
    last = sum(value.numel() for value in model[-1].parameters())
    assert torch.allclose(found.part(slice(-1, None)).gradients(), g[:, -last:])
    assert found.part(slice(-1, None)).n_parameters == last


def test_gradients_go_where_they_are_told():
    model, X = example(4, 3)
    found = gradient_factors(model, X)
    out = torch.full((5, found.n_parameters), torch.nan, dtype=torch.float64)
    assert found.gradients(out) is out
    assert torch.equal(out, found.gradients())
    wide = torch.full((5, found.n_parameters + 3), torch.nan, dtype=torch.float64)
    found.gradients(wide[:, 1:-2])  # a part of a larger array
    assert torch.equal(wide[:, 1:-2], out)
    assert wide[:, [0, -2, -1]].isnan().all()
    for bad in (out[:4], out[:, :-1], out.float()):
        with refuses("out", bad):
            found.gradients(bad)


def test_bad_rows_are_refused():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    for X in (np.ones(3), np.ones((2, 4)), np.ones((2, 2, 3)), np.full((2, 3), np.nan), None):
        with refuses("X"):
            gradient_factors(model, X)
    stacked = nn.Sequential(StackedLinear(3, 4, 1))
    for X in (np.ones((2, 4)), np.ones((2, 2, 4)), np.ones((3, 2, 5))):
        with refuses("X"):
            gradient_factors(stacked, X)
    with refuses("model"):
        gradient_factors(nn.Sequential(nn.Linear(3, 1), nn.Tanh()), np.ones((2, 3)))


def test_no_graph_is_kept_and_parameters_stay():
    model, X = example(5, 3)
    before = [value.clone() for value in model.parameters()]
    found = gradient_factors(model, X)
    assert isinstance(found, Factors)
    assert not any(t.requires_grad for t in (found.scores, *found.activations, *found.deltas))
    after = list(model.parameters())
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
    assert all(value.grad is None for value in model.parameters())


@few
@given(n=st.integers(0, 20), size=st.integers(1, 25))
def test_chunks_cover_every_row_once(n: int, size: int):
    parts = list(chunks(n, size))
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    assert all(part.stop - part.start <= size for part in parts)
    assert n_rows_within(100, 30) == 3
    assert n_rows_within(100, 300) == n_rows_within(0, 1) == 1
