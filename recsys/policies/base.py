"""The two verbs of every policy, ``select`` and ``update``, and what both have in common.

A policy scores the arms and shows the best one; how it scores them is what policies differ in.

Shapes: K arms, d features. One world has no leading axis; with ``n_worlds=S`` contexts are
(S, K, d), or (S, d) where all arms share a row, and arms and rewards are (S,). Many visits are
scored in one call by leading axes: rows per arm (n, K, d), or (n, 1, d) where all arms share a row
in each visit. A plain (K, d) is always a row per arm.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks


class Policy(Protocol):
    """What an experiment asks of a policy."""

    learns: bool  # False: update changes nothing, so visits may be served in bulk
    rng: np.random.Generator  # of the policy's own draws

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the arm to show for each context."""

    def probabilities(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray:
        """Return the probability (..., K) with which ``select`` would choose each arm."""

    def update(self, arm: ArrayLike, context: ArrayLike, reward: ArrayLike) -> None:
        """Learn from the reward of the arm that was shown."""


def argmax_random_ties(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the index of the largest score along the last axis, ties broken at random."""
    best = scores.argmax(axis=-1)
    if scores.ndim == 1 and best + scores[::-1].argmax() == len(scores) - 1:
        return best  # the first of the largest is the last of them
    if scores.ndim == 1:
        tied = scores == scores[best]
    else:  # the largest of each row is read at its place in one long row
        starts = np.arange(0, scores.size, scores.shape[-1]).reshape(best.shape)
        tied = scores == scores.reshape(-1).take(starts + best)[..., None]
    if np.count_nonzero(tied) == best.size:  # one winner in every row
        return best
    lottery = rng.random(scores.shape) + 1.0  # positive, so a tied arm always beats the rest
    return np.where(tied, lottery, 0.0).argmax(axis=-1)


class ScoringPolicy(checks.Checked):
    """A policy that shows the arm with the best score; ties are broken at random.

    Parameters
    ----------
    n_arms : int or None
        Number of arms K. Where ``counts_arms`` is False, ``None`` takes any number, and another
        one in every round.
    n_worlds : int, optional
        Number of independent worlds played at once; ``None`` for one world without the axis.
    rng : numpy.random.Generator, optional
        Source of the policy's own draws.
    """

    learns = False
    counts_arms = True  # whether something is kept for each arm, so that K is fixed
    shares_rows = True  # whether one row may serve all arms
    n_features: int | None = None  # None: rows may have any length
    longest = np.inf  # bound for the norm of contexts and rewards
    fixed = ("n_arms", "n_worlds", "n_features")

    def __init__(
        self,
        n_arms: int | None,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        fixed = self.counts_arms or n_arms is not None
        self.n_arms = checks.integer("n_arms", n_arms, 1) if fixed else None
        self.n_worlds = None if n_worlds is None else checks.integer("n_worlds", n_worlds, 1)
        self.rng = rng
        self.worlds = () if self.n_worlds is None else (self.n_worlds,)  # shape of a choice
        self._each = (*self.worlds, self.n_arms)  # shape of the scores for one choice

    def _checked_setting(self, name: str, value: object) -> object:
        return checks.generator("rng", value) if name == "rng" else value

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the scores (..., K) of the arms; higher is shown."""
        raise NotImplementedError

    def _shape(self, contexts: np.ndarray) -> tuple[int, ...]:
        """Return the shape (..., K) of the scores."""
        lead = contexts.shape[:-1]
        return self._each if lead == self.worlds else lead  # all arms share a row, or a row each

    def _fits(self, lead: tuple[int, ...]) -> bool:
        """Return whether contexts of shape (*lead, d) are a row for all arms or a row for each."""
        if lead == self.worlds:
            return self.shares_rows
        end = lead[-len(self._each) :]
        if self.n_arms is None:
            return len(end) == len(self._each) and end[:-1] == self.worlds and end[-1] > 0
        return end == self._each

    def checked(self, contexts: ArrayLike) -> np.ndarray:
        """Return the contexts as floats; refuse them where they do not fit the policy."""
        contexts = checks.finite("contexts", contexts, longest=self.longest)
        lead = contexts.shape[:-1]
        if contexts.ndim > 0 and self.n_features in (None, contexts.shape[-1]):
            if self._fits(lead):
                return contexts
            if self.shares_rows and lead[-1:] == (1,) and self._fits((*lead[:-1], self.n_arms)):
                return np.broadcast_to(contexts, (*lead[:-1], self.n_arms, contexts.shape[-1]))
        k, d = self.n_arms or "K", self.n_features or "d"
        expected = f"{(*self.worlds, k, d)}"
        if self.shares_rows:
            expected += f" or {(*self.worlds, d)}, and {('n', *self.worlds, 1, d)} for n visits"
        else:
            expected += ", a row for each arm"
        raise ValueError(f"contexts: got shape {contexts.shape}, expected {expected}")

    def offer(self, contexts: np.ndarray, available: ArrayLike | None) -> np.ndarray:
        """Return the mask (..., K) of the arms on offer for contexts that are already checked."""
        shape = self._shape(contexts)
        if available is None:
            return np.ones(shape, dtype=bool)
        mask = np.asarray(available)
        if mask.dtype != bool or mask.shape[-1:] != shape[-1:] or not mask.any(axis=-1).all():
            raise ValueError(
                f"available: got dtype {mask.dtype} and shape {mask.shape}, expected booleans "
                f"of shape (..., {shape[-1]}) with at least one arm on offer"
            )
        if mask.shape == shape:
            return mask
        try:
            return np.broadcast_to(mask, shape)
        except ValueError as error:
            raise ValueError(
                f"available: got shape {mask.shape}, expected one that broadcasts to {shape}"
            ) from error

    def _offered(self, contexts: np.ndarray, available: ArrayLike | None) -> np.ndarray:
        """Return the scores (..., K), -inf for an arm that is not on offer."""
        if available is not None:
            mask = self.offer(contexts, available)
            if not mask.all():
                return np.where(mask, self.scores(contexts), -np.inf)
        scores, shape = self.scores(contexts), self._shape(contexts)
        return scores if scores.shape == shape else np.broadcast_to(scores, shape)

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the best available arm of each context: an ``int``, or an array of them."""
        offered = self._offered(self.checked(contexts), available)
        arms = argmax_random_ties(offered, self.rng)
        return int(arms) if offered.ndim == 1 else arms

    def probabilities(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray:
        """Return the probability (..., K) with which ``select`` chooses each arm."""
        offered = self._offered(self.checked(contexts), available)
        best = offered == offered.max(axis=-1, keepdims=True)
        return best / best.sum(axis=-1, keepdims=True)

    def add_arms(self, n: int = 1) -> None:
        """Offer n arms more, with the ids that follow; nothing is known of them yet.

        What is known of the others stays. A policy that keeps something for each arm overrides
        ``_make_room``.
        """
        n = checks.integer("n", n, 1)
        if self.n_arms is None:
            raise ValueError(f"n: got {n}, expected none: this policy takes any number of arms")
        self._make_room(n)
        vars(self).update(n_arms=self.n_arms + n)
        self._each = (*self.worlds, self.n_arms)

    def _make_room(self, n: int) -> None:
        pass

    def update(self, arm: ArrayLike, context: ArrayLike, reward: ArrayLike) -> None:
        """Learn from the reward of the arm played; a policy that learns overrides ``_learn``."""
        arms = checks.ids("arm", arm, self.n_arms)
        if arms.shape != self.worlds:
            raise ValueError(f"arm: got shape {arms.shape}, expected {self.worlds}")
        rewards = checks.finite("reward", reward, self.worlds, self.longest)
        row = (*self.worlds, self.n_features)
        context = checks.finite("context", context, row, self.longest)
        if self.learns:
            self._learn(arms, context, rewards)

    def update_many(self, arms: ArrayLike, contexts: ArrayLike, rewards: ArrayLike) -> None:
        """Learn from n rounds that are over, in their order: what n calls of ``update`` teach.

        Arms and rewards are (n, ...), the rows that were shown (n, ..., d). A policy that learns
        many rows in less time than one by one overrides ``_learn_many``, right up to rounding.
        """
        arms = checks.ids("arms", arms, self.n_arms)
        if arms.ndim == 0 or arms.shape[1:] != self.worlds:
            raise ValueError(f"arms: got shape {arms.shape}, expected {('n', *self.worlds)}")
        rewards = checks.finite("rewards", rewards, arms.shape, self.longest)
        shape = (*arms.shape, self.n_features)
        contexts = checks.finite("contexts", contexts, shape, self.longest)
        if self.learns and len(arms):
            self._learn_many(arms, contexts, rewards)

    def checked_rounds(
        self, contexts: ArrayLike, rewards: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (..., n, d) and rewards (..., n) of n rounds that are over, or refuse."""
        contexts = checks.finite("contexts", contexts, longest=self.longest)
        n = contexts.shape[-2] if contexts.ndim > 1 else 0
        expected = (*self.worlds, n, self.n_features)
        if n < 1 or contexts.shape != expected:
            expected = (*self.worlds, "n", self.n_features)
            raise ValueError(f"contexts: got shape {contexts.shape}, expected {expected}")
        rewards = checks.finite("rewards", rewards, contexts.shape[:-1], longest=self.longest)
        return contexts, rewards

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        pass

    def _learn_many(self, arms: np.ndarray, contexts: np.ndarray, rewards: np.ndarray) -> None:
        for feedback in zip(arms, contexts, rewards, strict=True):
            self._learn(*feedback)
