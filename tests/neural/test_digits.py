"""How many digits are left, against exact arithmetic, and rows that no memory can hold."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from recsys.checks import PrecisionWarning
from recsys.gradients.backprop import gradient_factors
from recsys.neural.bonus import FORMS
from recsys.neural.memory import FullMemory, GradientMemory
from strategies import refuses

every_form = pytest.mark.parametrize("form", FORMS)
every_exact_form = pytest.mark.parametrize("form", ["full", "dual", "kernel"])
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
few_digits = pytest.mark.filterwarnings("ignore::recsys.checks.PrecisionWarning")


def line(dtype: torch.dtype = torch.float64, d: int = 2) -> nn.Sequential:
    """Return a network whose gradient is the row."""
    return nn.Sequential(nn.Linear(d, 1, bias=False)).to(dtype)


def exact(rows: np.ndarray, played: np.ndarray, ridge: float) -> list[float]:
    """Return x·(λI + Σ y yᵀ)⁻¹·x of rows x of two numbers in exact arithmetic."""
    a, b, c = Fraction(ridge), Fraction(0), Fraction(ridge)
    for y in played:
        u, v = (Fraction(float(value)) for value in y)
        a, b, c = a + u * u, b + u * v, c + v * v
    pairs = [[Fraction(float(value)) for value in row] for row in rows]
    return [float((c * u * u - 2 * b * u * v + a * v * v) / (a * c - b * b)) for u, v in pairs]


def warns(memory: GradientMemory, rows: np.ndarray, model: nn.Module) -> bool:
    """Let rounds be added, and return whether that warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        memory.add(gradient_factors(model, rows))
    assert all(entry.category is PrecisionWarning for entry in caught)
    assert len(caught) <= 1
    return bool(caught)


@every_exact_form
@every_dtype
@pytest.mark.parametrize("rounds", [1, 2, 40])
def test_who_is_not_warned_has_half_of_the_digits(form: str, dtype: torch.dtype, rounds: int):
    eps, rng, model = torch.finfo(dtype).eps, np.random.default_rng(rounds), line(dtype)
    warned, worst, directions = [], [], rng.standard_normal((rounds, 2))
    for length in np.geomspace(1e-2, 1e-1 * eps**-0.5, 25):
        rows = (length * directions).astype(np.float32)
        memory = FORMS[form](model, 0.5, dtype=dtype)
        warned.append(warns(memory, rows, model))
        found = memory.bonus(gradient_factors(model, rows)).double().numpy()
        truth = np.array(exact(rows, rows, 0.5))
        worst.append(np.abs(found / truth - 1).max())
    assert not warned[0]
    assert warned[-1]
    assert warned == sorted(warned)
    told, worst = np.array(warned), np.array(worst)
    assert worst[~told].max() < 30 * eps**0.5
    assert worst[told].max() > eps**0.5


@few_digits
@every_exact_form
@every_dtype
def test_rounds_beyond_the_digits_leave_a_memory_of_finite_numbers(form: str, dtype: torch.dtype):
    """Without the floor the rounding of one round is the input of the next, and grows."""
    eps, model, largest = torch.finfo(dtype).eps, line(dtype, 3), []
    for seed in range(12):
        rng, memory = np.random.default_rng(seed), FORMS[form](model, dtype=dtype)
        row = rng.standard_normal(3)
        row *= 0.9 * eps**-0.5 / np.linalg.norm(row)
        for t in range(80):
            shift = 1e-3 * (rng.standard_normal(3) if t % 2 else rng.random())
            memory.add(gradient_factors(model, (row * (1.0 - shift))[None]))
        bonus = memory.bonus(gradient_factors(model, np.eye(3)))
        assert (bonus >= 0).all()
        largest.append(float(bonus.max()))
    assert max(largest) <= 1.0 + 1e-3  # 1/λ at most


@every_exact_form
@every_dtype
def test_a_row_beside_which_the_ridge_drowns_is_refused(form: str, dtype: torch.dtype):
    model = line(dtype)
    memory, plain = (FORMS[form](model, 2.0, 0.5, dtype=dtype) for _ in range(2))
    at = 1.000_001 * (4.0 / torch.finfo(dtype).eps) ** 0.5  # c‖g‖²/λ = 1/ε
    good = gradient_factors(model, np.array([[1.0, 2.0]]))
    for length in (at, 10 * at, 1e15):
        bad = gradient_factors(model, np.array([[0.3, 0.1], [length, 0.0]]))
        for call in (memory.add, memory.take, memory.hold):
            with refuses("factors", memory):
                call(bad)
    with pytest.raises(ValueError, match="standardise the features, use unit_rows=True"):
        memory.add(bad)
    memory.hold(good)
    for either in (memory, plain):
        either.add(good)
    assert torch.equal(memory.bonus(good), plain.bonus(good))


def test_a_refilled_memory_refuses_and_warns_as_well():
    model = line()
    memory = FullMemory(model)
    with refuses("factors", memory):
        memory.refill(gradient_factors(model, np.array([[1e9, 0.0]])))
    rows = np.array([[1e7, 0.0], [0.0, 1.0]])
    memory.refill(gradient_factors(model, rows))
    with pytest.warns(PrecisionWarning):
        memory.warn()
    memory.warn()  # it is said once
    memory.refill(gradient_factors(model, np.array([[1.0, 0.0], [0.0, 1.0]])))
    assert not memory.few_digits


def test_a_matrix_whose_squares_have_no_cholesky_factor_is_refilled_all_the_same():
    model, rng = line(d=6), np.random.default_rng(0)
    rows = 2.5e7 * (1.0 + 1e-12 * rng.standard_normal((40, 6)))
    memory = FullMemory(model)
    Z = torch.from_numpy(rows.T @ rows + np.eye(6))
    assert int(torch.linalg.cholesky_ex(Z)[1]) > 0
    memory.refill(gradient_factors(model, rows))
    eigenvalues = torch.linalg.eigvalsh(memory.Z_inv)
    assert float(eigenvalues[-1]) == pytest.approx(1.0, rel=1e-6)  # 1/λ, of what was not played
    assert float(eigenvalues[0]) > -1e-15


@every_dtype
def test_a_diagonal_keeps_its_digits_and_refuses_what_has_no_inverse(dtype: torch.dtype):
    model, tiny = line(dtype), torch.finfo(dtype).tiny
    memory = FORMS["diagonal"](model, dtype=dtype)
    rows = np.array([[1e15, 1.0], [3.0, 1e-5]])
    assert not warns(memory, rows, model)
    squares = 1.0 + (rows.astype(np.float32).astype(float) ** 2).sum(axis=0)
    expected = (rows.astype(np.float32).astype(float) ** 2 / squares).sum(axis=1)
    found = memory.bonus(gradient_factors(model, rows)).double().numpy()
    assert found == pytest.approx(expected, rel=4 * torch.finfo(dtype).eps)
    half = np.array([[(0.7 / tiny) ** 0.5, 0.0]])  # the second such row is too much
    memory.add(gradient_factors(model, half))
    for call in (memory.add, memory.hold):
        with refuses("factors", memory):
            call(gradient_factors(model, half))
    assert torch.isfinite(memory.bonus(gradient_factors(model, rows))).all()


@every_form
def test_settings_that_leave_a_form_without_digits_are_refused(form: str):
    model = line()
    for value in (1e31, 1e300):
        with refuses("ridge"):
            FORMS[form](model, ridge=value)
        with refuses("scale"):
            FORMS[form](model, scale=value)


@every_form
def test_settings_of_a_memory_cannot_be_set_again(form: str):
    memory = FORMS[form](line())
    changes = {"ridge": 2.0, "scale": 0.1, "dtype": torch.float32, "layers": slice(-1, None)}
    for name, value in changes.items():
        with refuses(name, memory):
            setattr(memory, name, value)
