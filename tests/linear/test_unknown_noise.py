import numpy as np
import pytest
from scipy import stats

from recsys.linear import NormalInverseGammaThompson
from strategies import NOT_NUMBERS, refuses, states_what_it_shows

K, D, RIDGE = 5, 3, 0.5


def taught(worlds: int | None = None, n: int = 25, **settings: float) -> tuple:
    """Return a policy that has seen n rounds, and those rounds: arms, rows, rewards."""
    rng, lead = np.random.default_rng(0), () if worlds is None else (worlds,)
    policy = NormalInverseGammaThompson(
        K, D, ridge=RIDGE, n_worlds=worlds, rng=np.random.default_rng(1), **settings
    )
    arms = rng.integers(0, K - 1, (n, *lead))  # the last arm is never shown
    rows = rng.standard_normal((n, *lead, D))
    rewards = rows[..., 0] + (0.1 + arms) * rng.standard_normal((n, *lead))
    for played in zip(arms, rows, rewards, strict=True):
        policy.update(*played)
    return policy, arms, rows, rewards


def log_joint(theta: np.ndarray, variance: float, X: np.ndarray, r: np.ndarray) -> float:
    """Return log p(θ, σ²) + log p(r | θ, σ²) as the docstring of the class states the model."""
    spread = np.sqrt(variance)
    prior = stats.invgamma(2.0, scale=0.3).logpdf(variance)
    prior += stats.norm(0.0, spread / np.sqrt(RIDGE)).logpdf(theta).sum()
    return float(prior + stats.norm(X @ theta, spread).logpdf(r).sum())


@pytest.mark.parametrize("worlds", [None, 2])
def test_the_belief_is_the_posterior(worlds: int | None):
    """Prior times likelihood differs from the stated posterior by the same factor everywhere."""
    policy, arms, rows, rewards = taught(worlds, shape=2.0, scale=0.3)
    a, b = policy.noise()
    rng = np.random.default_rng(2)
    for world in range(worlds or 1):
        here = () if worlds is None else (world,)
        for arm in range(K):
            mine = arms[(slice(None), *here)] == arm
            X, r = rows[(mine, *here)], rewards[(mine, *here)]
            assert a[(*here, arm)] == 2.0 + mine.sum() / 2
            gaps = []
            for _ in range(6):
                theta, variance = rng.standard_normal(D), rng.uniform(0.2, 3.0)
                posterior = stats.invgamma(a[(*here, arm)], scale=b[(*here, arm)]).logpdf(variance)
                posterior += stats.multivariate_normal(
                    policy.theta[(*here, arm)], variance * policy.A_inv[(*here, arm)]
                ).logpdf(theta)
                gaps.append(log_joint(theta, variance, X, r) - posterior)
            assert np.ptp(gaps) < 1e-8


def test_a_draw_is_students():
    policy, *_ = taught(shape=2.0, scale=0.3, alpha=0.6)
    rows = np.random.default_rng(3).standard_normal((K, D))
    mean, width = policy.estimates(rows)
    draws = np.stack([policy.scores(rows) for _ in range(4_000)])
    for arm in range(K):
        freedom = 2 * policy.noise()[0][arm]
        standard = (draws[:, arm] - mean[arm]) / (0.6 * width[arm])
        assert stats.kstest(standard, stats.t(freedom).cdf).pvalue > 1e-3


def test_chances_are_the_frequencies_of_what_is_shown():
    policy, *_ = taught(alpha=0.6)
    states_what_it_shows(policy, np.array([True, False, True, True, True]))


def test_the_noise_of_every_arm_is_learned():
    rng = np.random.default_rng(5)
    policy, noise = NormalInverseGammaThompson(3, 2), np.array([0.1, 1.0, 3.0])
    arms, rows = rng.integers(0, 3, 6_000), rng.standard_normal((6_000, 2))
    policy.read(rows, rows[:, 0] + noise[arms] * rng.standard_normal(6_000), arms)
    a, b = policy.noise()
    assert np.allclose(np.sqrt(b / a), noise, rtol=0.08)


@pytest.mark.parametrize("worlds", [None, 2])
def test_a_log_at_once_counts_every_round(worlds: int | None):
    policy, arms, rows, rewards = taught(worlds)
    other = NormalInverseGammaThompson(K, D, ridge=RIDGE, n_worlds=worlds)
    other.update_many(arms, rows, rewards)
    for once, each in zip(other.noise(), policy.noise(), strict=True):
        assert np.allclose(once, each, rtol=1e-9)


def test_rewards_without_noise_leave_a_positive_scale():
    policy = NormalInverseGammaThompson(2, 2, ridge=1e-9, scale=1e-12)
    rng = np.random.default_rng(0)
    for x in rng.standard_normal((200, 2)):
        policy.update(0, x, 1e6 * x[0])
    assert (policy.noise()[1] > 0).all() and np.isfinite(policy.scores(np.ones((2, 2)))).all()


def test_settings_outside_their_range_are_refused():
    for name in ("shape", "scale"):
        for bad in (0.0, -1.0, *NOT_NUMBERS):
            with refuses(name):
                NormalInverseGammaThompson(3, 2, **{name: bad})
        with pytest.raises(ValueError, match=name):
            setattr(NormalInverseGammaThompson(3, 2), name, 2.0)
