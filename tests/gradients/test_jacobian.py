import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recsys.gradients import jacobian as gradients
from recsys.gradients.jacobian import METHODS, per_arm_gradients
from recsys.gradients.mlp import Scale, StackedLinear
from recsys.neural.bonus import FORMS, exploration_bonus
from strategies import few, modest, plain_gradients, random_mlp, refuses, snapshot

every_method = pytest.mark.parametrize("method", METHODS)
PRECISION = {torch.float32: 1e-6, torch.float64: 1e-12}


def example(
    seed: int, depth: int, k: int = 6, dtype: torch.dtype = torch.float64
) -> tuple[nn.Sequential, torch.Tensor]:
    rng = np.random.default_rng(seed)
    model = random_mlp(rng, depth, dtype=dtype)
    return model, torch.from_numpy(rng.standard_normal((k, model[0].in_features))).to(dtype)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Compare row by row, relative to the length of the row."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    error = torch.linalg.vector_norm(found - expected, dim=1)
    length = torch.linalg.vector_norm(expected, dim=1)
    assert (error <= PRECISION[found.dtype] * length).all()


# ---------------------------------------------------------------------- four ways, one answer


@every_method
@pytest.mark.parametrize("dtype", PRECISION)
@modest
@given(seed=st.integers(0, 10_000), depth=st.integers(1, 4), k=st.integers(1, 6))
def test_each_way_gives_the_gradients_of_plain_autograd(
    method: str, dtype: torch.dtype, seed: int, depth: int, k: int
):
    model, X = example(seed, depth, k, dtype)
    assert_close(per_arm_gradients(model, X, method), plain_gradients(model, X))


@every_method
@pytest.mark.parametrize("dtype", PRECISION)
def test_the_network_of_the_chapter(method: str, dtype: torch.dtype):
    torch.manual_seed(0)
    layers = [nn.Linear(9, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 1)]
    model, X = nn.Sequential(*layers).to(dtype), torch.randn(20, 9, dtype=dtype)
    found = per_arm_gradients(model, X, method)
    assert found.shape == (20, 11_201)
    assert_close(found, plain_gradients(model, X))


@every_method
def test_gradients_are_slopes(method: str):
    model, X = example(11, 3)
    found = per_arm_gradients(model, X, method)
    flat, step = nn.utils.parameters_to_vector(model.parameters()).detach(), 1e-6
    for i in range(len(flat)):
        ends = []
        for sign in (1, -1):
            moved = flat.clone()
            moved[i] += sign * step
            nn.utils.vector_to_parameters(moved, model.parameters())
            ends.append(model(X)[:, 0].detach())
        slope = (ends[0] - ends[1]) / (2 * step)
        assert torch.allclose(found[:, i], slope, rtol=1e-6, atol=1e-6)


@every_method
def test_a_unit_that_is_off_passes_nothing_on(method: str):
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))
        model[0].bias.zero_()
        model[2].weight.fill_(2.0)
    g = per_arm_gradients(model, [[3.0, 4.0]], method)[0]
    # weights of the first layer, its biases, weights of the second, its bias; off at exactly 0 too
    assert g.tolist() == [6.0, 8.0, 0, 0, 0, 0, 2.0, 0, 0, 3.0, 0, 0, 1.0]


@every_method
@few
@given(seed=st.integers(0, 10_000), k=st.integers(1, 9), chunk=st.integers(1, 10))
def test_chunks_change_nothing(method: str, seed: int, k: int, chunk: int):
    model, X = example(seed, 3, k)
    found = per_arm_gradients(model, X, method, chunk=chunk)
    assert_close(found, plain_gradients(model, X))


class Witness(nn.Module):
    """Passes rows on and notes how many came together."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x (n, d)."""
        self.sizes.append(len(x))
        return x


@every_method
def test_no_more_arms_than_a_chunk_go_through_together(method: str, monkeypatch):
    witness, (model, X) = Witness(), example(7, 3, 100)
    watched = nn.Sequential(witness, *model)
    per_arm_gradients(watched, X, method, chunk=8)
    assert max(witness.sizes) <= 8
    budget, p = 4_000, sum(value.numel() for value in model.parameters())
    monkeypatch.setattr(gradients, "TEMPORARIES", budget)
    witness.sizes.clear()
    per_arm_gradients(watched, X, method)
    units = sum(m.in_features + m.out_features for m in model if isinstance(m, nn.Linear))
    numbers = units if method == "closed_form" else 2 * p
    assert max(witness.sizes) <= max(1, budget // (8 * numbers)) < 100


@every_method
def test_results_go_where_they_are_told(method: str):
    model, X = example(8, 3)
    p = sum(value.numel() for value in model.parameters())
    out = torch.full((6, p), torch.nan, dtype=torch.float64)
    for _ in range(2):  # a buffer is used again
        assert per_arm_gradients(model, X, method, out=out) is out
        assert_close(out, plain_gradients(model, X))
        X = 2.0 * X
    for bad in (out[:5], out[:, :-1], out.float(), torch.empty(0)):
        with refuses("out", bad, model):
            per_arm_gradients(model, X, method, out=bad)


@every_method
def test_the_model_stays_as_it_is(method: str):
    model, X = example(9, 3)
    for value in model.parameters():
        value.requires_grad_(False)  # frozen parameters have gradients as well
    before = snapshot(model)
    with torch.no_grad():
        found = per_arm_gradients(model, X, method)
    assert not found.requires_grad
    assert snapshot(model) == before
    assert all(value.grad is None and not value.requires_grad for value in model.parameters())
    assert per_arm_gradients(model, X[:0], method).shape == (0, found.shape[1])


def test_any_network_has_gradients_but_not_in_closed_form():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 1)).double()
    X = torch.randn(5, 3, dtype=torch.float64)
    for method in ("loop", "vmap", "batched"):
        assert_close(per_arm_gradients(model, X, method), plain_gradients(model, X))
    with refuses("model"):
        per_arm_gradients(model, X)


def test_one_pass_over_the_sum_loses_the_gradients():
    model, X = example(10, 2)
    model(X).sum().backward()
    total = torch.cat([value.grad.flatten() for value in model.parameters()])
    model.zero_grad(set_to_none=True)
    assert torch.allclose(per_arm_gradients(model, X).sum(dim=0), total, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@every_method
def test_gradients_on_a_gpu(method: str):
    model, X = example(9, 3)
    expected = plain_gradients(model, X)
    found = per_arm_gradients(model.cuda(), X, method)
    assert found.is_cuda
    assert torch.allclose(found.cpu(), expected, atol=1e-9)


# ---------------------------------------------------------------------- bad input


@every_method
def test_bad_arguments_are_refused(method: str):
    model, X = example(12, 3)
    d = X.shape[1]
    for bad in (X[0], X[None], X[:, :-1], np.ones((2, d + 1)), np.full((2, d), np.nan), "rows"):
        with refuses("X", model):
            per_arm_gradients(model, bad, method)
    for bad in (0, -1, 2.0, True, "3"):
        with refuses("chunk", model):
            per_arm_gradients(model, X, method, chunk=bad)
    for bad in (nn.ReLU(), nn.Sequential(nn.Linear(d, 2)), nn.Sequential(StackedLinear(2, d, 1))):
        with refuses("model"):
            per_arm_gradients(bad, np.ones((2, d)), method)
    for bad in ("Loop", "", None, 3):
        with refuses("method"):
            per_arm_gradients(model, X, bad)


def test_a_bonus_asked_for_wrongly_is_refused():
    model, X = example(13, 2)
    for bad in ("primal", "", None):
        with refuses("form"):
            exploration_bonus(model, X, X, bad)
    for form in FORMS:
        with refuses("ridge"):
            exploration_bonus(model, X, X, form, ridge=0.0)
        with refuses("scale"):
            exploration_bonus(model, X, X, form, scale=0.0)
        with refuses("X"):
            exploration_bonus(model, X[0], X, form)


# ---------------------------------------------------------------------- the bonus in one call


@pytest.mark.parametrize("form", [form for form in FORMS if form != "diagonal"])
@few
@given(
    seed=st.integers(0, 10_000),
    depth=st.integers(1, 4),
    t=st.integers(0, 30),
    ridge=st.sampled_from([0.01, 0.3, 1.0, 20.0]),
    scale=st.sampled_from([0.02, 1.0, 7.0]),
)
def test_exact_bonuses_are_those_of_an_explicit_inverse(
    form: str, seed: int, depth: int, t: int, ridge: float, scale: float
):
    model, X = example(seed, depth, 5 + t)
    g = plain_gradients(model, X).numpy()
    Z = ridge * np.eye(g.shape[1]) + scale * g[5:].T @ g[5:]
    expected = scale * np.einsum("ki,ij,kj->k", g[:5], np.linalg.inv(Z), g[:5])
    found = exploration_bonus(model, X[:5], X[5:], form, ridge, scale)
    assert np.allclose(found.numpy(), expected, rtol=1e-8, atol=1e-12)


def test_a_bonus_worked_out_by_hand():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), Scale(2.0)).double()  # g = 2x
    for form in FORMS:
        found = exploration_bonus(model, [[3.0], [0.0]], [[1.0], [2.0]], form, 4.0, 0.5)
        # Z = 4 + 0.5 (2² + 4²) = 14, and 0.5 · 6² / 14
        assert found.tolist() == pytest.approx([18 / 14, 0.0])
