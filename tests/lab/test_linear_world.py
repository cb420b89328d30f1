import numpy as np
import pytest

from recsys.lab.linear_world import play_linear_world
from recsys.linear import LinUCB
from strategies import refuses, z_score


class Recorder:
    """Passes everything on to LinUCB and keeps what it was told."""

    learns = True

    def __init__(self, **settings: float) -> None:
        self.inner = LinUCB(3, 2, n_worlds=4, rng=np.random.default_rng(1), **settings)
        self.rounds, self.estimates = [], []

    @property
    def theta(self) -> np.ndarray:
        """The estimates of LinUCB."""
        return self.inner.theta

    def select(self, contexts, available=None):
        """Return LinUCB's choice."""
        return self.inner.select(contexts, available)

    def update(self, arm, context, reward):
        """Teach LinUCB, and keep the round."""
        self.inner.update(arm, context, reward)
        self.rounds.append((arm, context.copy(), reward.copy()))
        self.estimates.append(self.inner.theta.copy())


def test_every_number_is_that_of_the_rows_that_were_played():
    policy = Recorder(alpha=0.7)
    play = play_linear_world(policy, 60, np.random.default_rng(0))
    weights = np.random.default_rng(0).uniform(0, 0.5, (4, 3, 2))  # the first draw
    for world in range(4):
        rows = {arm: [] for arm in range(3)}
        for t, (arms, x, _) in enumerate(policy.rounds):
            arm, row = int(arms[world]), x[world]
            rates = weights[world] @ row
            assert play.regret[t, world] == pytest.approx(rates.max() - rates[arm], abs=1e-12)
            before = np.eye(2) + sum(np.outer(v, v) for v in rows[arm])
            square = row @ np.linalg.inv(before) @ row
            assert play.squares[t, world] == pytest.approx(square, rel=1e-9)
            rows[arm].append(row)
            after = before + np.outer(row, row)
            off = policy.estimates[t][world, arm] - weights[world, arm]
            root = np.linalg.cholesky(after).T
            assert play.needed[t, world] == pytest.approx(np.linalg.norm(root @ off), rel=1e-9)
            assert play.log_det[t, world] == pytest.approx(np.log(np.linalg.det(after)), rel=1e-9)
        for arm in range(3):
            A = np.eye(2) + sum(np.outer(v, v) for v in rows[arm])
            assert play.A[world, arm] == pytest.approx(A, rel=1e-12)


def test_visitors_are_mixtures_and_clicks_follow_their_linear_rates():
    policy = Recorder(alpha=2.0)
    play_linear_world(policy, 2_000, np.random.default_rng(5))
    weights = np.random.default_rng(5).uniform(0, 0.5, (4, 3, 2))
    rates, clicks = [], []
    for arms, x, reward in policy.rounds:
        assert (x >= 0).all() and x.sum(axis=1) == pytest.approx(1.0)
        rates += [weights[world, arms[world]] @ x[world] for world in range(4)]
        clicks += [float(r) for r in reward]
    rates, clicks = np.array(rates), np.array(clicks)
    assert abs(z_score(clicks, rates)) < 4
    high = rates > np.median(rates)  # and not only on average
    difference = clicks[high].mean() - clicks[~high].mean()
    assert difference == pytest.approx(rates[high].mean() - rates[~high].mean(), abs=0.04)


def test_the_same_seeds_give_the_same_play():
    plays = [play_linear_world(Recorder(alpha=1.0), 20, np.random.default_rng(3)) for _ in "ab"]
    for name in ("regret", "squares", "needed", "log_det", "A"):
        assert np.array_equal(getattr(plays[0], name), getattr(plays[1], name))


def test_no_rounds_are_refused():
    with refuses("n_rounds"):
        play_linear_world(Recorder(alpha=1.0), 0, np.random.default_rng(0))
