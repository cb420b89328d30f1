"""Features of very different size: what is exact, and what warns that it is not."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

from recsys.checks import PrecisionWarning
from recsys.linear import DiscountedLinUCB, LinUCB, SharedLinUCB, SlidingWindowLinUCB

KINDS = {
    "linucb": LinUCB,
    "shared": SharedLinUCB,
    "discounted": lambda *a, **k: DiscountedLinUCB(*a, gamma=0.99, **k),
    "window": lambda *a, **k: SlidingWindowLinUCB(*a, window=50, **k),
}
NOW, DAY = 1.7e9, 86_400.0  # seconds


def exact_widths(rows: np.ndarray, asked: np.ndarray, ridge: float) -> np.ndarray:
    """Return √(xᵀA⁻¹x) of rows with two features, by Cramer's rule on fractions."""
    A = [[Fraction(ridge) * (i == j) for j in range(2)] for i in range(2)]
    for row in rows:
        for i in range(2):
            for j in range(2):
                A[i][j] += Fraction(float(row[i])) * Fraction(float(row[j]))
    det = A[0][0] * A[1][1] - A[0][1] ** 2
    widths = []
    for x in asked:
        u, v = (Fraction(float(value)) for value in x)
        form = (u * u * A[1][1] - 2 * u * v * A[0][1] + v * v * A[0][0]) / det
        widths.append(np.sqrt(float(form)))
    return np.array(widths)


def learn(policy: LinUCB, rows: np.ndarray) -> None:
    for row in rows:
        policy.update(0, row, 1.0)


def rows_in_time(days: float, n: int = 40) -> np.ndarray:
    """Return rows (1, unix seconds) that are spread over so many days."""
    return np.stack([np.ones(n), NOW + days * DAY * np.linspace(0, 1, n)], axis=1)


@pytest.mark.parametrize("ridge", [1.0, 1e-3, 1e-6, 1e-9])
def test_a_width_without_a_warning_has_half_of_its_digits(ridge: float):
    told = 0
    for days in np.geomspace(1e-3, 1e5, 9):
        policy, rows = LinUCB(2, 2, ridge=ridge), rows_in_time(days, 1_100)  # a fresh inverse, too
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            learn(policy, rows)
        asked = rows[::300]
        found = np.array([policy.estimates(x)[1][0] for x in asked])
        if not caught:
            assert np.allclose(found, exact_widths(rows, asked, ridge), rtol=1e-7)
        assert np.isfinite(found).all() and len(caught) <= 1
        told += len(caught)
    assert (told > 0) == (ridge < 1e-3)


def test_eigenvalues_that_are_not_scaled_tell_of_seconds_at_once():
    policy = DiscountedLinUCB(2, 2, gamma=0.99)
    with pytest.warns(PrecisionWarning, match="comparable size") as caught:
        learn(policy, rows_in_time(0.1, 200))
    assert len(caught) == 1
    assert np.isfinite(policy.ucb(np.array([[1.0, NOW], [1.0, NOW + DAY]]))).all()


@pytest.mark.parametrize("name", KINDS)
def test_a_ridge_that_disappears_beside_the_rows_is_told(name: str):
    rows = np.random.default_rng(0).standard_normal((1_100, 1)) * np.ones(2)  # one direction only
    with pytest.warns(PrecisionWarning, match="larger ridge") as caught:
        learn(KINDS[name](2, 2, ridge=1e-9), rows)
    assert len(caught) == 1


@pytest.mark.parametrize("name", KINDS)
def test_a_warning_that_is_made_an_error_leaves_a_whole_state(name: str):
    rows = np.random.default_rng(0).standard_normal((1_100, 1)) * np.ones(2)
    strict, plain = KINDS[name](2, 2, ridge=1e-9), KINDS[name](2, 2, ridge=1e-9)
    told = 0
    for row in rows:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain.update(0, row, 1.0)
        try:  # warnings are errors in all tests
            strict.update(0, row, 1.0)
        except PrecisionWarning:
            told += 1
    assert told == 1
    assert np.array_equal(strict.ucb(rows[:2]), plain.ucb(rows[:2]))


@pytest.mark.parametrize("name", KINDS)
def test_standard_features_raise_no_warning(name: str):
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.ones(3_000), rng.standard_normal((3_000, 3))])
    for ridge in (1e-3, 1.0, 100.0):
        learn(KINDS[name](2, 4, ridge=ridge), rows)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_columns_in_other_units_lose_nothing_in_a_ridge_regression(scale: float):
    rng, units = np.random.default_rng(0), np.array([1.0, scale])
    rows = rng.standard_normal((60, 2)) * units
    policy = LinUCB(2, 2, ridge=1e-3)
    learn(policy, rows)
    asked = rng.standard_normal((5, 2)) * units
    found = np.array([policy.estimates(x)[1][0] for x in asked])
    assert np.allclose(found, exact_widths(rows, asked, 1e-3), rtol=1e-9)
