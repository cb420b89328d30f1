"""The two verbs of every policy, ``select`` and ``update``, and the simple policies.

Shapes: K arms, d features. One world has no leading axis; with ``n_worlds=S`` contexts are
(S, K, d), or (S, d) where all arms share a row, and arms and rewards are (S,). Rows per arm may
carry any leading axes for a policy that does not learn: many visits are then served in one call.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks
from recsys.records import Log

UNBOUNDED = 2**63 - 1  # arms of a policy that takes any number of rows: its n_arms is None


class Policy(Protocol):
    """What an experiment asks of a policy."""

    learns: bool  # False: update changes nothing, so visits may be served in bulk

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the arm to show for each context."""

    def update(self, arm: ArrayLike, context: ArrayLike, reward: ArrayLike) -> None:
        """Learn from the reward of the arm that was shown."""


def argmax_random_ties(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the index of the largest score along the last axis, ties broken at random."""
    lottery = rng.random(scores.shape) + 1.0  # positive, so a tied arm always beats the rest
    return np.argmax(np.where(scores == scores.max(axis=-1, keepdims=True), lottery, 0.0), axis=-1)


def on_offer(available: ArrayLike | None, lead: tuple[int, ...], n_arms: int) -> np.ndarray:
    """Return the mask (..., K) of arms on offer, checked; ``None`` offers all of them."""
    mask = np.ones(n_arms, dtype=bool) if available is None else np.asarray(available)
    if mask.dtype != bool or mask.shape[-1:] != (n_arms,) or not mask.any(axis=-1).all():
        raise ValueError(
            f"available: got dtype {mask.dtype} and shape {mask.shape}, expected booleans "
            f"of shape (..., {n_arms}) with at least one arm on offer"
        )
    try:
        return np.broadcast_to(mask, (*lead, n_arms))
    except ValueError as error:
        raise ValueError(
            f"available: got shape {mask.shape}, expected one that broadcasts to {(*lead, n_arms)}"
        ) from error


class ScoringPolicy:
    """A policy that shows the arm with the best score; ties are broken at random.

    Parameters
    ----------
    n_arms : int
        Number of arms K.
    n_worlds : int, optional
        Number of independent worlds played at once; ``None`` for one world without the axis.
    rng : numpy.random.Generator, optional
        Source of the policy's own draws.
    """

    learns = False

    def __init__(
        self, n_arms: int, n_worlds: int | None = None, rng: np.random.Generator | None = None
    ) -> None:
        self.n_arms = checks.integer("n_arms", n_arms, 1)
        self.n_worlds = None if n_worlds is None else checks.integer("n_worlds", n_worlds, 1)
        self.rng = np.random.default_rng(0) if rng is None else rng

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the scores (..., K) of the arms; higher is shown."""
        raise NotImplementedError

    def _checked(
        self, contexts: ArrayLike, available: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return contexts and the mask of arms on offer (..., K), both checked."""
        contexts = checks.finite("contexts", contexts)
        worlds = () if self.n_worlds is None else (self.n_worlds,)
        if contexts.ndim == len(worlds) + 1:  # a row shared by all arms
            lead = contexts.shape[:-1]
            fits = lead == worlds
        else:
            lead = contexts.shape[:-2]
            fits = contexts.ndim >= 2 and contexts.shape[-2] == self.n_arms
            fits = fits and (self.n_worlds is None or lead[-1:] == worlds)
        if not fits:
            raise ValueError(
                f"contexts: got shape {contexts.shape}, expected "
                f"{(*worlds, self.n_arms, 'd')} or {(*worlds, 'd')}"
            )
        return contexts, on_offer(available, lead, self.n_arms)

    def _offered(self, contexts: np.ndarray, mask: np.ndarray) -> np.ndarray:
        scores = np.broadcast_to(self.scores(contexts), mask.shape)
        return np.where(mask, scores, -np.inf)

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the best available arm of each context: an ``int``, or an array of them."""
        contexts, mask = self._checked(contexts, available)
        arms = argmax_random_ties(self._offered(contexts, mask), self.rng)
        return int(arms) if np.ndim(arms) == 0 else arms

    def probabilities(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray:
        """Return the probability (..., K) with which ``select`` chooses each arm."""
        contexts, mask = self._checked(contexts, available)
        offered = self._offered(contexts, mask)
        best = offered == offered.max(axis=-1, keepdims=True)
        return best / best.sum(axis=-1, keepdims=True)

    def update(self, arm: ArrayLike, context: ArrayLike, reward: ArrayLike) -> None:
        """Learn from the reward of the arm played; a policy that learns overrides ``_learn``."""
        shape = () if self.n_worlds is None else (self.n_worlds,)
        arms = checks.ids("arm", arm, self.n_arms or UNBOUNDED)
        if arms.shape != shape:
            raise ValueError(f"arm: got shape {arms.shape}, expected {shape}")
        rewards = checks.finite("reward", reward, shape)
        context = checks.finite("context", context, (*shape, None))
        if self.learns:
            self._learn(arms, context, rewards)

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        pass


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
        shape = (self.n_arms,) if self.n_worlds is None else (self.n_worlds, self.n_arms)
        prior = checks.number("prior_impressions", prior_impressions, 1e-9)
        self.clicks = np.full(shape, checks.number("prior_clicks", prior_clicks, 0.0, prior))
        self.impressions = np.full(shape, prior)

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

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        cell = arms if self.n_worlds is None else (np.arange(self.n_worlds), arms)
        self.clicks[cell] += rewards
        self.impressions[cell] += 1.0


class EpsilonGreedy:
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
        self.epsilon = checks.number("epsilon", epsilon, 0.0, 1.0)
        self.rng = np.random.default_rng(0) if rng is None else rng

    @property
    def learns(self) -> bool:
        """Whether the wrapped policy learns."""
        return self.policy.learns

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the greedy arm, or with probability ``epsilon`` a uniform available one."""
        greedy = np.asarray(self.policy.select(contexts, available))
        _, mask = self.policy._checked(contexts, available)
        uniform = argmax_random_ties(mask.astype(float), self.rng)
        arms = np.where(self.rng.random(greedy.shape) < self.epsilon, uniform, greedy)
        return int(arms) if arms.ndim == 0 else arms

    def probabilities(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray:
        """Return the probability (..., K) with which ``select`` chooses each arm."""
        greedy = self.policy.probabilities(contexts, available)
        _, mask = self.policy._checked(contexts, available)
        uniform = mask / mask.sum(axis=-1, keepdims=True)
        return (1 - self.epsilon) * greedy + self.epsilon * uniform

    def update(self, arm: ArrayLike, context: ArrayLike, reward: ArrayLike) -> None:
        """Pass the feedback on to the wrapped policy."""
        self.policy.update(arm, context, reward)
