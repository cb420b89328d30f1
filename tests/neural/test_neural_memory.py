import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recsys.gradients.backprop import Factors, gradient_factors
from recsys.gradients.mlp import StackedLinear
from recsys.neural import memory as gradient_memory
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.dual_memory import DualMemory, KernelMemory
from recsys.neural.memory import FullMemory, GradientMemory
from strategies import NOT_NUMBERS, few, plain_gradients, random_mlp, refuses, snapshot

EXACT: dict[str, type[GradientMemory]] = {
    "full": FullMemory,
    "dual": DualMemory,
    "kernel": KernelMemory,
}
ALL = {**EXACT, "diagonal": DiagonalMemory}
every_form = pytest.mark.parametrize("name", ALL)
every_exact_form = pytest.mark.parametrize("name", EXACT)


def explicit(
    name: str, g: np.ndarray, played: np.ndarray, ridge: float, scale: float
) -> np.ndarray:
    """Return c g·Z⁻¹·g by an explicit inverse of Z, or of its diagonal, from all rounds anew."""
    Z = ridge * np.eye(g.shape[1]) + scale * played.T @ played
    Z = np.diag(np.diag(Z)) if name == "diagonal" else Z
    return scale * np.einsum("ki,ij,kj->k", g, np.linalg.inv(Z), g)


def rows_of(rng: np.random.Generator, model: nn.Sequential, n: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal((n, model[0].in_features)))


def move(rng: np.random.Generator, model: nn.Module) -> None:
    """Change the parameters a little, as training does."""
    with torch.no_grad():
        for value in model.parameters():
            value += 0.2 * torch.from_numpy(rng.standard_normal(value.shape))


@every_form
@few
@given(
    seed=st.integers(0, 10_000),
    depth=st.integers(1, 4),
    rounds=st.integers(0, 40),
    ridge=st.sampled_from([0.05, 1.0, 20.0]),
    scale=st.sampled_from([0.02, 1.0, 7.0]),
)
def test_bonuses_are_those_of_an_explicit_inverse_over_a_played_history(
    name: str, seed: int, depth: int, rounds: int, ridge: float, scale: float
):
    rng = np.random.default_rng(seed)
    model = random_mlp(rng, depth)
    memory, played = ALL[name](model, ridge, scale), []
    for t in range(rounds + 1):
        rows = rows_of(rng, model, 6)
        g = plain_gradients(model, rows)
        if t in (0, 1, rounds // 2, rounds):
            past = np.array(played).reshape(-1, g.shape[1])
            expected = explicit(name, g.numpy(), past, ridge, scale)
            assert np.allclose(
                memory.bonus(gradient_factors(model, rows)), expected, rtol=1e-8, atol=1e-10
            )
        arm = int(rng.integers(6))
        memory.add(gradient_factors(model, rows[arm : arm + 1]))
        played.append(g[arm].numpy())
        if t % 7 == 0:
            move(rng, model)  # the gradients of earlier rounds stay what they were
    assert memory.rounds == rounds + 1


@every_exact_form
def test_many_more_rounds_than_parameters(name: str):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    memory, played = EXACT[name](model, 0.01), []
    for t in range(600):  # crosses two blocks of the factor
        one = rows_of(rng, model, 1)
        memory.add(gradient_factors(model, one))
        played.append(plain_gradients(model, one)[0].numpy())
        if t % 100 == 0:
            move(rng, model)
    rows = rows_of(rng, model, 20)
    expected = explicit(name, plain_gradients(model, rows).numpy(), np.array(played), 0.01, 1.0)
    assert np.allclose(memory.bonus(gradient_factors(model, rows)), expected, rtol=1e-8)


def test_the_network_of_the_chapter_agrees_in_all_exact_forms():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(9, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU())
    model = nn.Sequential(*model, nn.Linear(30, 1)).double()
    played, rows = torch.randn(60, 9).double(), torch.randn(50, 9).double()
    found = []
    for make in EXACT.values():
        memory = make(model, 0.5, 1 / 30)
        memory.add(gradient_factors(model, played))  # many rounds in one call
        found.append(memory.bonus(gradient_factors(model, rows)).numpy())
    past = plain_gradients(model, played).numpy()
    expected = explicit("full", plain_gradients(model, rows).numpy(), past, 0.5, 1 / 30)
    for bonus in found:
        assert np.allclose(bonus, expected, rtol=1e-8)


def test_the_diagonal_is_that_of_z():
    rng = np.random.default_rng(3)
    model = random_mlp(rng, 3)
    memory = DiagonalMemory(model, 0.7, 0.3)
    played = rows_of(rng, model, 9)
    memory.add(gradient_factors(model, played))
    g = plain_gradients(model, played)
    expected = np.diag(0.7 * np.eye(g.shape[1]) + 0.3 * (g.T @ g).numpy())
    assert np.allclose(memory.diagonal, expected, rtol=1e-12)


def test_the_inverse_stays_the_inverse():
    rng = np.random.default_rng(4)
    model = random_mlp(rng, 2)
    memory, Z = FullMemory(model, 0.01), None
    for _ in range(2_000):
        one = rows_of(rng, model, 1)
        memory.add(gradient_factors(model, one))
        g = plain_gradients(model, one).numpy()
        Z = (0.01 * np.eye(g.shape[1]) if Z is None else Z) + g.T @ g
    assert np.abs(memory.Z_inv.numpy() @ Z - np.eye(len(Z))).max() < 1e-9
    assert torch.allclose(memory.Z_inv, memory.Z_inv.T, rtol=0, atol=1e-12)


@every_form
def test_chunks_of_arms_change_nothing(name: str, monkeypatch):
    rng = np.random.default_rng(5)
    model = random_mlp(rng, 3)
    memory, rows = ALL[name](model), gradient_factors(model, rows_of(rng, model, 100))
    memory.add(gradient_factors(model, rows_of(rng, model, 8)))
    whole, sizes, plain = memory.bonus(rows), [], type(memory)._bonus

    def watched(self: GradientMemory, part: Factors) -> torch.Tensor:
        sizes.append(len(part.scores))
        return plain(self, part)

    monkeypatch.setattr(type(memory), "_bonus", watched)
    budget = 8 * 7 * memory._numbers_per_arm()
    monkeypatch.setattr(gradient_memory, "TEMPORARIES", budget)
    parts = memory.bonus(rows)
    assert sizes == [7] * 14 + [2]
    assert parts.shape == (100,)
    assert torch.allclose(parts, whole, rtol=1e-12, atol=1e-15)


@every_form
def test_an_arm_that_was_played_is_less_wide_and_no_width_is_negative(name: str):
    rng = np.random.default_rng(6)
    model = random_mlp(rng, 3)
    memory, rows = ALL[name](model, 1e-4), gradient_factors(model, rows_of(rng, model, 5))
    before = memory.bonus(rows)
    for _ in range(50):
        memory.add(rows.rows(slice(2, 3)))
        after = memory.bonus(rows)
        assert (after <= before * (1 + 1e-9)).all()
        before = after
    assert (after >= 0).all()
    assert after[2] <= 1 / 40 or name == "diagonal"  # c g·Z⁻¹·g < 1/n after n rounds of the same


@every_form
def test_worlds_are_kept_apart(name: str):
    rng, S = np.random.default_rng(7), 3
    shapes = [(4, 5), (5, 3), (3, 1)]
    modules: list[nn.Module] = []
    for w, h in shapes:
        modules += [StackedLinear(S, w, h, bias=w != 5), nn.ReLU()]
    stacked = nn.Sequential(*modules[:-1]).double()
    for value in stacked.parameters():
        value.data.copy_(torch.from_numpy(rng.standard_normal(value.shape)))
    alone = []
    for world in range(S):
        modules = [m for w, h in shapes for m in (nn.Linear(w, h, bias=w != 5), nn.ReLU())]
        model = nn.Sequential(*modules[:-1]).double()
        for mine, every in zip(model.parameters(), stacked.parameters(), strict=True):
            mine.data.copy_(every[world])
        alone.append(model)
    together = ALL[name](stacked, 0.3, 0.2)
    apart = [ALL[name](model, 0.3, 0.2) for model in alone]
    for _ in range(12):
        X = torch.from_numpy(rng.standard_normal((S, 6, 4)))
        bonus = together.bonus(gradient_factors(stacked, X))
        assert bonus.shape == (S, 6)
        for world, (memory, model) in enumerate(zip(apart, alone, strict=True)):
            assert torch.allclose(
                bonus[world], memory.bonus(gradient_factors(model, X[world])), atol=1e-9
            )
            memory.add(gradient_factors(model, X[world, :1]))
        together.add(gradient_factors(stacked, X[:, :1]))


@every_form
def test_the_last_layer_alone(name: str):
    rng = np.random.default_rng(8)
    model = random_mlp(rng, 3)
    memory = ALL[name](model, 0.5, layers=slice(-1, None))
    played, rows = rows_of(rng, model, 7), rows_of(rng, model, 5)
    memory.add(gradient_factors(model, played))
    n = sum(value.numel() for value in model[-1].parameters())
    assert memory.n_parameters == n
    g, past = (plain_gradients(model, x)[:, -n:].numpy() for x in (rows, played))
    expected = explicit(name, g, past, 0.5, 1.0)
    assert np.allclose(memory.bonus(gradient_factors(model, rows)), expected, rtol=1e-8)


@every_form
def test_single_precision_is_asked_for(name: str):
    rng = np.random.default_rng(9)
    model = random_mlp(rng, 3)
    rows = gradient_factors(model, rows_of(rng, model, 5))
    double, single = ALL[name](model), ALL[name](model, dtype=torch.float32)
    for memory in (double, single):
        memory.add(rows)
    assert double.bonus(rows).dtype == torch.float64
    assert single.bonus(rows).dtype == torch.float32
    assert torch.allclose(single.bonus(rows).double(), double.bonus(rows), rtol=1e-2, atol=1e-3)
    halved = gradient_factors(model.float(), rows_of(rng, model, 5))
    assert double.bonus(halved).dtype == torch.float64


# ---------------------------------------------------------------------- bad input


@every_form
def test_factors_that_do_not_fit_are_refused(name: str):
    rng = np.random.default_rng(10)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    memory = ALL[name](model)
    memory.add(gradient_factors(model, rows_of(rng, model, 3)))
    others = [
        nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1)),
        nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(3, 1)),
    ]
    fits = gradient_factors(model, rows_of(rng, model, 2))
    bad = [gradient_factors(other, np.ones((2, 3))) for other in others]
    bad.append(fits.map(lambda tensor: tensor[None]))
    for value in (np.nan, np.inf):
        bad.append(fits.map(lambda tensor, value=value: tensor * value))
    for wrong in bad:
        with refuses("factors", memory):
            memory.bonus(wrong)
        with refuses("factors", memory):
            memory.add(wrong)
    assert torch.isfinite(memory.bonus(fits)).all()


@every_form
def test_settings_outside_their_range_are_refused(name: str):
    model = nn.Sequential(nn.Linear(3, 1))
    for value in (0.0, -1.0, 1e-13, *NOT_NUMBERS):
        with refuses("ridge"):
            ALL[name](model, ridge=value)
        with refuses("scale"):
            ALL[name](model, scale=value)
    for value in (torch.float16, torch.int64, "float64", None):
        with refuses("dtype"):
            ALL[name](model, dtype=value)
    with refuses("layers"):
        ALL[name](model, layers=slice(1, 1))
    with refuses("model"):
        ALL[name](nn.ReLU())


@every_form
def test_asking_changes_nothing(name: str):
    rng = np.random.default_rng(11)
    model = random_mlp(rng, 3)
    memory, rows = ALL[name](model), gradient_factors(model, rows_of(rng, model, 5))
    memory.add(rows)
    before = snapshot(memory)
    assert torch.equal(memory.bonus(rows), memory.bonus(rows))
    assert snapshot(memory) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@every_form
def test_bonuses_on_a_gpu(name: str):
    rng = np.random.default_rng(12)
    model = random_mlp(rng, 3)
    X = rows_of(rng, model, 5)
    found = []
    for device in ("cpu", "cuda"):
        model = model.to(device)
        memory = ALL[name](model)
        memory.add(gradient_factors(model, X))
        found.append(memory.bonus(gradient_factors(model, X)).cpu())
    assert torch.allclose(*found, atol=1e-9)
