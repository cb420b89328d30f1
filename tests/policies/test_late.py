import numpy as np
import pytest

from recsys.linear import LinUCB
from recsys.policies import EpsilonGreedy, LateFeedback, MostPopular, Oracle
from strategies import refuses, snapshot


def feedback(n: int, seed: int = 0) -> list[tuple[int, np.ndarray, float]]:
    rng = np.random.default_rng(seed)
    return [(int(rng.integers(4)), rng.standard_normal(3), float(rng.random())) for _ in range(n)]


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_feedback_is_handed_on_when_a_batch_is_complete(batch: int):
    late, prompt = LateFeedback(LinUCB(4, 3), batch), LinUCB(4, 3)
    rows = feedback(23)
    for told, row in enumerate(rows, start=1):
        late.update(*row)
        if told % batch == 0:
            for known in rows[told - batch : told]:
                prompt.update(*known)
        assert snapshot(late.policy) == snapshot(prompt)


def test_choices_are_those_of_the_wrapped_policy_meanwhile():
    late, untold = LateFeedback(LinUCB(4, 3), 10), LinUCB(4, 3)
    x = np.array([1.0, 2.0, 3.0])
    for row in feedback(9):
        assert late.select(x) == untold.select(x)
        late.update(*row)
    mask = np.array([False, False, True, False])
    assert late.select(x, mask) == 2


def test_feedback_is_what_it_was_when_it_came():
    late, prompt = LateFeedback(LinUCB(2, 2, n_worlds=2), 2), LinUCB(2, 2, n_worlds=2)
    arm, row, reward = np.array([0, 1]), np.ones((2, 2)), np.array([1.0, 0.0])
    for _ in range(2):
        prompt.update(arm, row, reward)
    late.update(arm, row, reward)
    kept = arm.copy(), row.copy(), reward.copy()
    arm[:], row[:], reward[:] = 0, 9.0, 0.5  # a caller that uses its arrays again
    late.update(*kept)
    assert np.array_equal(late.policy.theta, prompt.theta)


def test_it_learns_if_the_wrapped_policy_does():
    assert LateFeedback(MostPopular(3), 2).learns
    assert LateFeedback(EpsilonGreedy(MostPopular(3), 0.1), 2).learns
    assert not LateFeedback(Oracle(3), 2).learns


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, None])
def test_a_batch_is_a_positive_integer(batch: object):
    with refuses("batch"):
        LateFeedback(MostPopular(3), batch)


def test_feedback_that_is_no_number_is_refused_at_once():
    late = LateFeedback(LinUCB(4, 3), 5)
    late.update(0, np.ones(3), 1.0)
    with refuses("arm", late):
        late.update(-1, np.ones(3), 1.0)
    with refuses("context", late):
        late.update(0, np.array([1.0, np.nan, 1.0]), 1.0)
    with refuses("reward", late):
        late.update(0, np.ones(3), np.inf)
