"""Three ways to explore: a coin (ε-greedy), optimism (UCB), and a draw from what is believed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtr, stdtrit

from recsys import checks
from recsys.policies.base import ScoringPolicy, argmax_random_ties

POINTS = 4_096  # between which a chance to win is summed


class EpsilonGreedy(checks.Checked):
    """Wraps a policy: with probability ``epsilon`` an available arm drawn uniformly instead.

    Parameters
    ----------
    policy : ScoringPolicy
        The greedy part, which also does the learning.
    epsilon : float
        Probability of exploring, in [0, 1].
    rng : numpy.random.Generator, optional
        Source of the exploration draws.
    """

    def __init__(
        self, policy: ScoringPolicy, epsilon: float, rng: np.random.Generator | None = None
    ) -> None:
        self.policy = policy
        self.epsilon = epsilon
        self.rng = rng

    def _checked_setting(self, name: str, value: object) -> object:
        if name == "rng":
            return checks.generator("rng", value)
        return checks.number("epsilon", value, 0.0, 1.0) if name == "epsilon" else value

    @property
    def learns(self) -> bool:
        """Whether the wrapped policy learns."""
        return self.policy.learns

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the greedy arm, or with probability ``epsilon`` a uniform available one."""
        greedy = np.asarray(self.policy.select(contexts, available))
        mask = self.policy.offer(self.policy.checked(contexts), available)
        uniform = argmax_random_ties(mask.astype(float), self.rng)
        arms = np.where(self.rng.random(greedy.shape) < self.epsilon, uniform, greedy)
        return int(arms) if arms.ndim == 0 else arms

    def probabilities(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray:
        """Return the probability (..., K) with which ``select`` chooses each arm."""
        greedy = self.policy.probabilities(contexts, available)
        mask = self.policy.offer(self.policy.checked(contexts), available)
        uniform = mask / mask.sum(axis=-1, keepdims=True)
        return (1 - self.epsilon) * greedy + self.epsilon * uniform

    def update(self, arm: ArrayLike, context: ArrayLike, reward: ArrayLike) -> None:
        """Pass the feedback on to the wrapped policy."""
        self.policy.update(arm, context, reward)

    def update_many(self, arms: ArrayLike, contexts: ArrayLike, rewards: ArrayLike) -> None:
        """Pass the feedback of many rounds on to the wrapped policy."""
        self.policy.update_many(arms, contexts, rewards)

    def add_arms(self, n: int = 1) -> None:
        """Offer n arms more."""
        self.policy.add_arms(n)


def chances_on_offer(
    mean: np.ndarray, spread: np.ndarray, mask: np.ndarray, freedom: np.ndarray | None = None
) -> np.ndarray:
    """Return the probability (..., K) that each arm's draw is the largest of those on offer."""
    chances = np.zeros(mask.shape)
    for place in np.ndindex(mask.shape[:-1]):
        on = mask[place]
        some = None if freedom is None else freedom[place][on]
        chances[place][on] = chances_to_win(mean[place][on], spread[place][on], some)
    return chances


def chances_to_win(
    mean: np.ndarray, spread: np.ndarray, freedom: np.ndarray | None = None
) -> np.ndarray:
    """Return the probability (K,) that each of K independent draws is the largest.

    Draws are normal, or Student's with degrees of ``freedom`` (K,). The probability is
    P(a) = ∫ Π_{b≠a} F_b dF_a, a sum over the intervals between quantiles of all arms, and right to
    about 1e-3. Time and memory grow with K: of very many quantiles above the lowest value that can
    win ``POINTS`` are taken, which moves the result by less than 1e-4.
    """
    centre, spread = mean[:, None], spread[:, None]
    spread = np.maximum(spread, 1e-12 * (1.0 + np.abs(centre).max()))  # a draw that is sure
    quantiles = np.linspace(-7.0, 7.0, 57)
    if freedom is not None:
        freedom = freedom[:, None]
        quantiles = stdtrit(freedom, ndtr(quantiles))
    all_points = centre + spread * quantiles
    points = np.sort(all_points, axis=None)
    if len(points) > POINTS:
        points = points[np.searchsorted(points, all_points[:, 0].max()) :]
        step = len(points) / min(len(points), POINTS)
        points = points[(step * np.arange(min(len(points), POINTS))).astype(np.int64)]
    wins = np.zeros(len(mean))
    size = max(1, POINTS * 64 // len(mean))
    for start in range(0, len(points) - 1, size):
        standard = (points[start : start + size + 1] - centre) / spread
        below = ndtr(standard) if freedom is None else stdtr(freedom, standard)  # (arms, points)
        mass, middle = np.diff(below), (below[:, 1:] + below[:, :-1]) / 2 + 1e-300
        wins += (mass * np.exp(np.log(middle).sum(axis=0) - np.log(middle))).sum(axis=1)
    return wins / wins.sum()


class UpperConfidence(ScoringPolicy):
    """Knows a mean and a width for each arm, and shows the arm with the largest mean + α width."""

    alpha: float  # width α of the interval, at least 0

    def _checked_setting(self, name: str, value: object) -> object:
        if name == "alpha":
            return checks.number("alpha", value, 0.0)
        return super()._checked_setting(name, value)

    def _estimates(self, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means and widths (..., K) for contexts that are already checked."""
        raise NotImplementedError

    def estimates(self, contexts: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimated mean reward of every arm and its width, both (..., K)."""
        return self._estimates(self.checked(contexts))

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the upper confidence bounds (..., K) for contexts that are already checked."""
        mean, width = self._estimates(contexts)
        return mean + self.alpha * width

    def ucb(self, contexts: ArrayLike) -> np.ndarray:
        """Return the upper confidence bound (..., K) of every arm; no chance is involved."""
        return UpperConfidence.scores(self, self.checked(contexts))


class ThompsonSampling(UpperConfidence):
    """Shows the arm with the largest draw, one for each arm: normal, N(mean, α² width²)."""

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return a draw (..., K) for contexts that are already checked."""
        mean, width = self._estimates(contexts)
        return mean + self.alpha * width * self.rng.standard_normal(mean.shape)

    def probabilities(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray:
        """Return the probability (..., K) that each arm's draw is the largest, to about 1e-3."""
        contexts = self.checked(contexts)
        mask = self.offer(contexts, available)
        mean, width = (np.broadcast_to(e, mask.shape) for e in self._estimates(contexts))
        freedom = self._freedom()
        freedom = None if freedom is None else np.broadcast_to(freedom, mask.shape)
        return chances_on_offer(mean, self.alpha * width, mask, freedom)

    def _freedom(self) -> np.ndarray | None:
        """Return the degrees of freedom (..., K) of Student's draws, or None for normal ones."""
        return None
