import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.neural import growing
from recsys.neural.growing import GrowingCholesky, GrowingRows
from strategies import few

WHERE = (torch.float64, torch.device("cpu"))
worlds_or_none = pytest.mark.parametrize("worlds", [(), (3,)])


@worlds_or_none
@few
@given(sizes=st.lists(st.integers(0, 90), max_size=8), width=st.integers(1, 4))
def test_rows_stay_in_the_order_in_which_they_came(worlds: tuple, sizes: list[int], width: int):
    rng, grown = np.random.default_rng(0), GrowingRows(worlds, width, *WHERE)
    parts = [torch.from_numpy(rng.standard_normal((*worlds, n, width))) for n in sizes]
    for part in parts:
        grown.append(part)
    expected = torch.cat([torch.empty((*worlds, 0, width), dtype=torch.float64), *parts], dim=-2)
    assert torch.equal(grown.rows, expected)
    assert grown.n == sum(sizes)


@pytest.mark.parametrize("worlds", [(), (1,), (3,)])
def test_rows_are_taken_by_their_numbers_in_each_world(worlds: tuple[int, ...]):
    grown = GrowingRows(worlds, 2, *WHERE)
    grown.append(torch.arange(math.prod(worlds) * 70 * 2.0, dtype=WHERE[0]).view(*worlds, 70, 2))
    which = torch.tensor([69, 0, 3, 3])
    taken = grown.take(which)
    assert torch.equal(taken, grown.rows[..., which, :])
    taken += 1.0  # a copy
    assert torch.equal(grown.rows[..., which, :], taken - 1.0)


def test_a_buffer_that_doubles_is_copied_seldom():
    grown, addresses = GrowingRows((), 2, *WHERE), set()
    for _ in range(1_000):
        grown.append(torch.ones(1, 2, dtype=torch.float64))
        addresses.add(grown.rows.data_ptr())
        assert grown._buffer.shape[0] <= max(64, 2 * grown.n)
    assert len(addresses) <= 5  # 64, 128, 256, 512, 1024


def grow(M: torch.Tensor, floor: float) -> GrowingCholesky:
    """Return the factor of M (..., n, n) after all its columns came one by one."""
    factor = GrowingCholesky(tuple(M.shape[:-2]), floor, *WHERE)
    for n in range(M.shape[-1]):
        factor.append(M[..., :n, n], M[..., n, n])
    return factor


@worlds_or_none
@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 19])
def test_products_are_those_with_the_inverse_of_a_cholesky_factor(
    worlds: tuple, n: int, monkeypatch
):
    monkeypatch.setattr(growing, "BLOCK", 4)
    rng = np.random.default_rng(n)
    half = torch.from_numpy(rng.standard_normal((*worlds, n, 2 * n)))
    M, k = half @ half.mT, torch.from_numpy(rng.standard_normal((*worlds, n, 6)))
    factor = grow(M, 1e-12)
    inverse = torch.linalg.inv(torch.linalg.cholesky(M))
    assert factor.n == n
    assert len(factor.blocks) == -(-n // 4)
    assert torch.allclose(factor.times(k), inverse @ k, rtol=1e-9, atol=1e-9)
    assert torch.allclose(factor.transposed_times(k), inverse.mT @ k, rtol=1e-9, atol=1e-9)
    forms = factor.times(k).square().sum(dim=-2)
    expected = torch.linalg.vecdot(k, torch.linalg.solve(M, k), dim=-2)
    assert torch.allclose(forms, expected, rtol=1e-9)


def test_a_thousand_columns_that_nearly_repeat_lose_no_more_than_a_fresh_factor():
    rng, n, floor = np.random.default_rng(0), 1_000, 0.01
    rows = torch.from_numpy(rng.standard_normal((n, 12)))
    M = rows @ rows.T + floor * torch.eye(n, dtype=torch.float64)
    k = rows @ torch.from_numpy(rng.standard_normal((12, 5)))
    factor = grow(M, floor)
    truth = torch.linalg.vecdot(k, torch.linalg.solve(M, k), dim=0)
    assert torch.allclose(factor.times(k).square().sum(dim=0), truth, rtol=1e-11)
    L_inv = factor.times(torch.eye(n, dtype=torch.float64))
    assert (L_inv @ M @ L_inv.T - torch.eye(n)).abs().max() < 1e-8


def test_a_pivot_below_the_floor_is_raised():
    factor = GrowingCholesky((), 1e-6, *WHERE)
    same = torch.tensor(1e12, dtype=torch.float64)
    for n in range(5):  # the same column again and again: the pivots are rounding errors
        factor.append(same.expand(n), same)
    assert all(torch.isfinite(block).all() for block in factor.blocks)
    assert factor.blocks[0][:5, :5].diagonal().max() <= 1e3
