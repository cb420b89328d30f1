import numpy as np
import pytest

from recsys.linear.products import (
    inner_products,
    matrix_times_rows,
    matvec,
    outer,
    outside,
    quadratic_forms,
    vecdot,
    within,
)

leading = pytest.mark.parametrize("lead", [(), (3,)])


def symmetric(rng: np.random.Generator, *shape: int) -> np.ndarray:
    half = rng.standard_normal(shape)
    return half + half.swapaxes(-1, -2)


@leading
@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("shared", [True, False])
def test_products_with_rows_are_those_of_loops(m: int, shared: bool, lead: tuple[int, ...]):
    rng = np.random.default_rng(0)
    matrices, vectors = rng.standard_normal((*lead, m, 2, 2)), rng.standard_normal((*lead, m, 2))
    rows = rng.standard_normal((*lead, 2) if shared else (*lead, 4, 2))
    count = m if shared else 4
    images, numbers = matrix_times_rows(matrices, rows), inner_products(vectors, rows)
    assert images.shape == (*lead, count, 2)
    assert numbers.shape == (*lead, count)
    for *world, a in np.ndindex(*lead, count):
        x = rows[tuple(world)] if shared else rows[(*world, a)]
        assert np.allclose(images[(*world, a)], matrices[(*world, a % m)] @ x, atol=1e-12)
        assert numbers[(*world, a)] == pytest.approx(vectors[(*world, a % m)] @ x, abs=1e-12)


@leading
@pytest.mark.parametrize("m", [1, 4])
def test_forms_of_rows_are_those_of_loops(m: int, lead: tuple[int, ...]):
    rng = np.random.default_rng(0)
    matrices, rows = symmetric(rng, *lead, m, 3, 3), rng.standard_normal((*lead, 4, 3))
    forms = quadratic_forms(matrices, rows)
    assert forms.shape == (*lead, 4)
    for *world, a in np.ndindex(*lead, 4):
        M, x = matrices[(*world, a % m)], rows[(*world, a)]
        assert forms[(*world, a)] == pytest.approx(x @ M @ x, abs=1e-12)


@pytest.mark.parametrize("d", [1, 2, 9, 33])
def test_one_product_and_a_stack_of_them_have_the_same_digits(d: int):
    rng = np.random.default_rng(d)
    matrices, u, v = (rng.standard_normal(shape) for shape in ((6, d, d), (6, d), (6, d)))
    for n in range(6):
        assert np.array_equal(matvec(matrices, u)[n], matvec(matrices[n], u[n]))
        assert np.array_equal(vecdot(u, v)[n], vecdot(u[n], v[n]))


def test_bounds_hold_for_each_and_for_all_and_nan_is_outside():
    factors = np.array([2.0, -1.0])
    for low, high, out in ((-1, 2, [0, 0]), (-1, 1.5, [1, 0]), (0, 2, [0, 1]), (3, 4, [1, 1])):
        assert outside(factors, low, high).tolist() == [bool(o) for o in out]
        assert within(factors, low, high) == (not any(out))
    assert outside(np.array([np.nan, 1.0]), 0, 2).tolist() == [True, False]
    assert not within(np.array([np.nan, 1.0]), 0, 2)


def test_an_outer_product_holds_every_pair():
    u, v = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    assert outer(u, v).tolist() == [[[5, 6], [10, 12]], [[21, 24], [28, 32]]]
