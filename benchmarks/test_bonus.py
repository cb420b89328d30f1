"""The exact bonus of K = 50 arms and absorbing the one played, and the diagonal bonus."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from race import Runner
from recsys.gradients.backprop import Factors, gradient_factors
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.dual_memory import KernelMemory
from recsys.neural.memory import FullMemory
from recsys.neural.network import score_network

ARMS, RIDGE, SCALE = 50, 1.0, 1 / 100
PLAIN = {"init": "torch", "bias": True, "output_scale": "one", "unit_rows": False}


def network(d: int) -> torch.nn.Module:
    return score_network(d, (100, 100), **PLAIN)


def rows(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def kernel_memory(model, played: Factors, scale: float = SCALE) -> KernelMemory:
    """Return a memory of these rounds, its Cholesky factor made in one go and not row by row."""
    memory, t = KernelMemory(model, RIDGE, scale), len(played.scores)
    M = scale * played.kernel(played)
    M.diagonal().add_(RIDGE)
    one = torch.eye(t, dtype=M.dtype)
    inverse = torch.linalg.solve_triangular(torch.linalg.cholesky(M), one, upper=False)
    blocks = []
    for start in range(0, t, 256):
        stop = min(start + 256, t)
        block = inverse.new_zeros(256, start + 256)
        block[: stop - start, :stop] = inverse[start:stop, :stop]
        blocks.append(block)
    memory.restore([memory._kept(played), *blocks], t)
    return memory


def full_memory(model, played: Factors, scale: float = SCALE) -> FullMemory:
    """Return the p×p inverse after these rounds by Woodbury's identity: (I - c Gᵀ M⁻¹ G) / λ."""
    memory = FullMemory(model, RIDGE, scale)
    G, M = played.gradients(), scale * played.kernel(played)
    M.diagonal().add_(RIDGE)
    V = torch.linalg.solve_triangular(torch.linalg.cholesky(M), G, upper=False)
    memory.Z_inv.addmm_(V.mT, V, alpha=-scale / RIDGE)
    memory.rounds = len(played.scores)
    return memory


def test_memories_are_filled_as_if_round_by_round():
    model = score_network(5, (12, 12), **PLAIN)
    played, arms = (gradient_factors(model, rows(n, 5, n)) for n in (300, 20))
    for make, kind in ((kernel_memory, KernelMemory), (full_memory, FullMemory)):
        memory, slow = make(model, played), kind(model, RIDGE, SCALE)
        slow.add(played)
        for each in (memory, slow):
            each.add(arms.rows(slice(0, 3)))
        assert torch.allclose(memory.bonus(arms), slow.bonus(arms), rtol=1e-8)


def size_of(memory: KernelMemory) -> int:
    """Return how many numbers a memory holds, those that wait for more rounds among them."""
    return memory._played._buffer.numel() + sum(b.numel() for b in memory.cholesky.blocks)


def round_of(memory, model, X: np.ndarray):
    def run(_: object) -> None:
        found = gradient_factors(model, X)
        arm = int(memory.bonus(found).argmax())
        memory.add(found.rows(slice(arm, arm + 1)))

    return run


def products_alone(ours: KernelMemory, found: Factors, played: Factors):
    """Return the products of a bonus alone: with the activations, the deltas, and L⁻¹."""
    t = len(played.scores)
    inverse, k = torch.randn(t, t, dtype=torch.float64), torch.randn(t, ARMS, dtype=torch.float64)
    factors = [
        pair
        for (a, delta, _), (b, other, _) in zip(found.layers(), played.layers(), strict=True)
        for pair in ((a, b.mT.contiguous()), (delta, other.mT.contiguous()))
    ]
    half = t // 2  # L⁻¹ is a triangle: half of a square's numbers

    def run(_: object) -> None:
        for left, right in factors:
            left @ right
        inverse[:half] @ k

    return run


@pytest.mark.parametrize("t", [100, 1_000])
def test_exact_bonus_and_update(race, t: int):
    d = 9
    model, X = network(d), rows(ARMS, d, 0)
    played = gradient_factors(model, rows(t, d, 1))
    p = played.n_parameters
    ours, theirs = kernel_memory(model, played), full_memory(model, played)
    found = gradient_factors(model, X)
    assert torch.allclose(theirs.bonus(found), ours.bonus(found), rtol=1e-8)
    race.fact("memory, per cent of p×p", 100 * size_of(ours) / p**2)
    race(
        f"exact bonus of {ARMS} arms and one update, p = {p:,}, after {t:,} rounds, float64",
        "round",
        Runner(round_of(ours, model, X)),
        {
            "p×p inverse, Sherman–Morrison": Runner(round_of(theirs, model, X)),
            "the products alone": Runner(products_alone(ours, found, played), kind="limit"),
        },
        repeats=5,
    )


def test_diagonal_bonus(race):
    model, d = network(256), 256
    found, played = (
        gradient_factors(model, rows(ARMS, d, 0)),
        gradient_factors(model, rows(200, d, 1)),
    )
    memory = DiagonalMemory(model, RIDGE, SCALE)
    memory.add(played)
    J, inverse = found.gradients(), SCALE / memory.diagonal
    buffer = torch.empty_like(J)

    def given() -> torch.Tensor:
        return torch.mul(J, J, out=buffer) @ inverse

    assert torch.allclose(given(), memory.bonus(found), rtol=1e-10)
    calls = 20

    def repeated(way: Callable) -> Callable:
        def run(_: object) -> None:
            for _ in range(calls):
                way()

        return run

    race(
        f"diagonal bonus of {ARMS} arms, p = {found.n_parameters:,}, float64",
        "decision",
        Runner(repeated(lambda: memory.bonus(found)), calls, note="from the factors"),
        {"from the gradients": Runner(repeated(given), calls, note="gradients given")},
        repeats=15,
    )
