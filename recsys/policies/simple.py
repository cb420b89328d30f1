"""The simple policies: random, the oracle, and the most popular."""

from __future__ import annotations

import numpy as np

from recsys import checks
from recsys.policies.base import ScoringPolicy
from recsys.shop import Log


class RandomPolicy(ScoringPolicy):
    """Shows every available arm with the same probability: all arms tie."""

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return zeros (K,)."""
        return np.zeros(self.n_arms)


class Oracle(ScoringPolicy):
    """Shows the arm with the highest true click probability; plays on ``features.Truth``."""

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the first column of the contexts: the click probabilities (..., K)."""
        return checks.probabilities("contexts", contexts[..., 0])


class MostPopular(ScoringPolicy):
    """Shows everybody the arm with the highest observed click rate, smoothed towards the prior.

    ``prior_clicks`` clicks in ``prior_impressions`` impressions are added to each arm's counts, so
    a few lucky clicks do not make a bestseller. With ``learns=False`` the counts stay as they are.
    """

    def __init__(
        self,
        n_arms: int,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
        prior_clicks: float = 2.0,
        prior_impressions: float = 50.0,
        learns: bool = True,
    ) -> None:
        super().__init__(n_arms, n_worlds, rng)
        self.learns = bool(learns)
        prior = checks.number("prior_impressions", prior_impressions, 1e-9)
        self.prior = checks.number("prior_clicks", prior_clicks, 0.0, prior), prior
        self.clicks, self.impressions = (np.full(self._each, value) for value in self.prior)

    @classmethod
    def from_log(
        cls,
        log: Log,
        n_arms: int,
        rng: np.random.Generator | None = None,
        learns: bool = False,
    ) -> MostPopular:
        """Return the policy after reading a log (one world); by default it then stands still."""
        policy = cls(n_arms, rng=rng, learns=learns)
        products = checks.ids("log.products", log.products, policy.n_arms)
        policy.clicks += np.bincount(products, weights=log.clicks, minlength=policy.n_arms)
        policy.impressions += np.bincount(products, minlength=policy.n_arms)
        return policy

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the smoothed click rates (K,) or (S, K)."""
        return self.clicks / self.impressions

    def _make_room(self, n: int) -> None:
        grown = []
        for counts, start in zip((self.clicks, self.impressions), self.prior, strict=True):
            new = np.full((*counts.shape[:-1], n), start)
            grown.append(np.concatenate([counts, new], axis=-1))
        self.clicks, self.impressions = grown

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        cell = arms if self.n_worlds is None else (np.arange(self.n_worlds), arms)
        self.clicks[cell] += rewards
        self.impressions[cell] += 1.0
