import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.linear.linucb import LinUCB, SharedLinUCB, SlidingWindowLinUCB
from recsys.linear.memory import RidgeMemory
from recsys.linear.widths import LARGE, FewRows
from strategies import few


def few_rows(memory: RidgeMemory) -> FewRows:
    return FewRows(memory._inverse, memory._packing, memory.shape, memory.ridge)


def memories(m: int, d: int, ridge: float) -> tuple[RidgeMemory, RidgeMemory]:
    """Return a memory that keeps few rows, however small it is, and one that does not."""
    plain, sparing = RidgeMemory(m, d, ridge), RidgeMemory(m, d, ridge)
    assert not isinstance(plain._widths, FewRows)
    sparing._widths = few_rows(sparing)
    return plain, sparing


@few
@given(
    seed=st.integers(0, 999),
    d=st.integers(1, 9),
    m=st.integers(1, 6),
    ridge=st.sampled_from([1e-3, 0.3, 1.0, 7.0]),
)
def test_widths_are_those_of_the_matrices_at_every_age(seed: int, d: int, m: int, ridge: float):
    plain, sparing = memories(m, d, ridge)
    rng = np.random.default_rng(seed)
    for _ in range(5 * m * d):
        shared, each = rng.standard_normal(d), rng.standard_normal((m, d))
        for rows in (shared, each):
            expected, found = plain.estimates(rows), sparing.estimates(rows)
            assert np.array_equal(found[0], expected[0])
            assert np.allclose(found[1], expected[1], rtol=1e-9, atol=1e-9)
        model = np.array(rng.integers(rng.integers(m) + 1))  # some are played more than others
        for memory in (plain, sparing):
            memory.add(model, shared, np.array(1.0))
    assert np.array_equal(plain.A_inv, sparing.A_inv)


def test_an_arm_is_kept_as_corrections_until_a_triangle_is_shorter():
    memory = RidgeMemory(3, 6)
    memory._widths = forms = few_rows(memory)
    rng, counts, whole = np.random.default_rng(0), [], []
    for model in (0, 1, 0, 1, 0, 2, 0, 0):  # the fourth row of arm 0 is one too many
        memory.add(np.array(model), rng.standard_normal(6), np.array(1.0))
        counts.append(forms.n)
        whole.append(forms.whole.tolist())
    assert counts == [1, 2, 3, 4, 5, 6, 3, 3]
    assert whole == [[]] * 6 + [[0]] * 2
    assert sorted(forms.models[: forms.n]) == [1, 1, 2]


def test_a_row_that_costs_digits_is_kept_as_a_fresh_inverse():
    plain, sparing = memories(2, 8, 1e-8)
    for memory in (plain, sparing):
        memory.add(np.array(1), np.eye(8)[0], np.array(1.0))
        assert memory._age[1] == 0
    assert sparing._widths.whole.tolist() == [1]
    for row in np.eye(8):
        assert np.array_equal(plain.estimates(row)[1], sparing.estimates(row)[1])


def test_long_rows_are_not_subtracted_from_longer_ones():
    """Each row is 99 times as long as its direction was uncertain: all are within ``TRUSTED``."""
    plain, sparing = memories(2, 16, 1.0)
    row, growth = np.eye(16)[0], 1.0
    for memory in (plain, sparing):
        growth = 1.0
        for _ in range(4):
            memory.add(np.array(1), 99.0 * np.sqrt(growth) * row, np.array(1.0))
            growth *= 1 + 99.0**2
    exact = 1 / np.sqrt(growth)
    for memory in (plain, sparing):
        assert memory.estimates(row)[1][1] == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("kind", [LinUCB, SlidingWindowLinUCB])
def test_a_large_policy_chooses_as_one_world_of_many_does(kind: type[LinUCB]):
    d = 20
    n_arms = LARGE // d**2 + 1
    extra = {"window": 300} if kind is SlidingWindowLinUCB else {}
    one = kind(n_arms, d, 0.5, 0.3, **extra)
    many = kind(n_arms, d, 0.5, 0.3, n_worlds=1, **extra)
    assert isinstance(one.memory._widths, FewRows)
    assert not isinstance(many.memory._widths, FewRows)
    rng = np.random.default_rng(0)
    for t in range(600):
        x, rewards = rng.standard_normal(d), rng.random(n_arms)
        scores, expected = one.ucb(x), many.ucb(x[None])[0]
        assert np.allclose(scores, expected, rtol=0, atol=1e-10)
        arm = int(scores.argmax()) if t % 2 else t % 11  # some arms outgrow their corrections
        one.update(arm, x, rewards[arm])
        many.update([arm], x[None], rewards[[arm]])
    visits = rng.standard_normal((3, n_arms, d))
    assert np.allclose(one.ucb(visits), [one.ucb(rows) for rows in visits], rtol=0, atol=1e-10)
    assert len(one.memory._widths.whole) > 5
    assert one.memory._widths.n > 200 or kind is SlidingWindowLinUCB


def test_one_large_model_for_all_arms_scores_each_row_by_itself():
    d = math.isqrt(LARGE) + 1
    one, many = SharedLinUCB(3, d), SharedLinUCB(3, d, n_worlds=1)
    rng = np.random.default_rng(0)
    for _ in range(3):
        rows = rng.standard_normal((3, d))
        assert np.allclose(one.ucb(rows), many.ucb(rows[None])[0], rtol=1e-13)
        one.update(1, rows[1], 1.0)
        many.update([1], rows[None, 1], [1.0])
    assert len(set(one.ucb(rows))) == 3
