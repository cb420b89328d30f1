"""Many rows at once: the same regressions as the rows one by one, up to rounding."""

import numpy as np
import pytest

from recsys.linear import (
    DiscountedLinUCB,
    LinearThompson,
    LinUCB,
    SharedLinUCB,
    SlidingWindowLinUCB,
)
from strategies import refuses

KINDS = {
    "linucb": (LinUCB, {}),
    "thompson": (LinearThompson, {}),
    "shared": (SharedLinUCB, {}),
    "discounted": (DiscountedLinUCB, {"gamma": 0.97}),
    "window": (SlidingWindowLinUCB, {"window": 40}),
    "long window": (SlidingWindowLinUCB, {"window": 10_000}),
}


def rounds(n: int, worlds: tuple, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    arms = rng.integers(0, 4, (n, *worlds))  # the last of five arms stays unknown
    return arms, rng.normal(size=(n, *worlds, 3)), (rng.random((n, *worlds)) < 0.4).astype(float)


@pytest.mark.parametrize("n_worlds", [None, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 25, 40, 41, 42, 200])
def test_rows_at_once_teach_what_rows_one_by_one_teach(kind: str, n: int, n_worlds: int | None):
    cls, settings = KINDS[kind]
    worlds = () if n_worlds is None else (n_worlds,)
    one_by_one, at_once = (
        cls(5, 3, alpha=0.5, ridge=0.7, n_worlds=n_worlds, **settings) for _ in range(2)
    )
    # some rounds before, many at once, and some after: the state is whole, not only the answer
    for part, together in enumerate((False, True, False, True)):
        arms, rows, rewards = rounds(n if together else 30, worlds, part)
        for arm, row, reward in zip(arms, rows, rewards, strict=True):
            one_by_one.update(arm, row, reward)
            if not together:
                at_once.update(arm, row, reward)
        if together:
            at_once.update_many(arms, rows, rewards)
        assert np.allclose(one_by_one.theta, at_once.theta, rtol=0, atol=1e-11)
        assert np.allclose(one_by_one.A_inv, at_once.A_inv, rtol=0, atol=1e-11)
        x = np.random.default_rng(9).normal(size=(*worlds, 5, 3))
        assert np.allclose(one_by_one.ucb(x), at_once.ucb(x), rtol=0, atol=1e-11)
        if cls.shares_rows:
            shared = x[..., 0, :]
            assert np.allclose(one_by_one.ucb(shared), at_once.ucb(shared), rtol=0, atol=1e-11)
    assert np.abs(at_once.theta).max() > 0.01


def test_a_large_catalogue_reads_many_rows():
    one_by_one, at_once = (LinUCB(5_000, 8) for _ in range(2))
    rng = np.random.default_rng(0)
    arms, rows = rng.integers(0, 50, 300), rng.normal(size=(300, 8))
    for arm, row in zip(arms, rows, strict=True):
        one_by_one.update(arm, row, 1.0)
    at_once.update_many(arms, rows, np.ones(300))
    assert np.allclose(one_by_one.ucb(rows[0]), at_once.ucb(rows[0]), rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_rounds_that_do_not_fit_are_refused_and_nothing_is_learned(kind: str):
    cls, settings = KINDS[kind]
    policy = cls(5, 3, n_worlds=2, **settings)
    arms, rows, rewards = rounds(6, (2,), 0)
    with refuses("arms", policy):
        policy.update_many(arms[:, 0], rows, rewards)
    with refuses("arms", policy):
        policy.update_many(arms + 2, rows, rewards)
    with refuses("contexts", policy):
        policy.update_many(arms, rows[..., :2], rewards)
    with refuses("contexts", policy):
        policy.update_many(arms, np.where(rows > 0, np.nan, rows), rewards)
    with refuses("rewards", policy):
        policy.update_many(arms, rows, rewards[:5])
    policy.update_many(arms[:0], rows[:0], rewards[:0])
