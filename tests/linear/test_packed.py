"""Symmetric matrices as triangles, and sums that are added late."""

import numpy as np
import pytest

from recsys.linear import late_sums
from recsys.linear.late_sums import LateSums
from recsys.linear.packed import Packing, add_outer, times

sizes = pytest.mark.parametrize("d", [1, 2, 5, 9, 33])
leading = pytest.mark.parametrize("lead", [(), (4,), (3, 4)])


def symmetric(*shape: int) -> np.ndarray:
    half = np.random.default_rng(0).standard_normal(shape)
    return half + half.swapaxes(-1, -2)


@sizes
@leading
def test_a_triangle_holds_every_pair_once(d: int, lead: tuple[int, ...]):
    packing, matrices = Packing(d), symmetric(*lead, d, d)
    packed = packing.pack(matrices)
    assert packed.shape == (*lead, d * (d + 1) // 2)
    assert np.array_equal(packing.unpack(packed), matrices)
    v = np.random.default_rng(1).standard_normal((*lead, d))
    assert np.array_equal(packing.outer(v), packing.pack(v[..., :, None] * v[..., None, :]))


@sizes
@pytest.mark.parametrize("lead", [(), (3,)])
def test_forms_are_those_of_loops(d: int, lead: tuple[int, ...]):
    packing, matrices = Packing(d), symmetric(*lead, 4, d, d)
    rows = np.random.default_rng(1).standard_normal((*lead, d))
    forms = packing.forms(packing.pack(matrices), rows)
    assert forms.shape == (*lead, 4)
    for *world, a in np.ndindex(*lead, 4):
        x = rows[tuple(world)]
        assert forms[(*world, a)] == pytest.approx(x @ matrices[(*world, a)] @ x, abs=1e-10)


@sizes
def test_products_and_corrections_are_those_of_whole_matrices(d: int):
    packing, matrices, v = Packing(d), symmetric(3, d, d), np.arange(1.0, d + 1)
    packed = packing.pack(matrices)
    others = packed[[0, 2]].copy()
    add_outer(packed[1], -0.25, v)  # in place, in a row of a larger array
    assert np.allclose(packing.unpack(packed[1]), matrices[1] - 0.25 * np.outer(v, v), atol=1e-12)
    assert np.array_equal(packed[[0, 2]], others)
    assert np.allclose(times(packed[1], v), packing.unpack(packed[1]) @ v, atol=1e-10)


@pytest.mark.parametrize("n_worlds", [1, 3])
def test_late_sums_are_sums(monkeypatch: pytest.MonkeyPatch, n_worlds: int):
    packing, rng = Packing(2), np.random.default_rng(0)
    monkeypatch.setattr(late_sums, "WAITING", 5 * n_worlds * packing.size)  # five rounds wait
    start = packing.pack(np.eye(2))
    late = LateSums(np.tile(start, (4 * n_worlds, 1)), packing, n_worlds)
    expected = late.sums.copy()
    for n in range(23):
        models = 4 * np.arange(n_worlds) + rng.integers(0, 2, n_worlds)  # two of four learn
        rows = rng.standard_normal((n_worlds, 2))
        late.put_aside(models, rows)
        expected[models] += packing.outer(rows)
        assert late.n == n % 5 + 1
    late.settle()
    assert np.allclose(late.sums, expected, rtol=1e-13)
    late.settle()
    assert np.allclose(late.sums, expected, rtol=1e-13)  # nothing is added twice
    assert np.array_equal(late.sums[2], start)
