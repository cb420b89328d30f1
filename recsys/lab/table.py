"""A data set as a world: rounds that are written down, with what every arm would have earned.

A classification set is the usual one: the arms are the classes, and the right one earns 1. Nothing
is drawn, so a policy is judged by the data alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks, worlds
from recsys.lab.rounds import round_by_round
from recsys.lab.serving import drawn
from recsys.policies import Policy

MANY = 2**21  # numbers in the contexts that a policy that does not learn scores at a time


class RewardTable:
    """Rounds with a known reward of every arm, for ``lab.run``.

    Parameters
    ----------
    contexts : (n, d), a row that all arms share in each round, or (n, K, d), a row for each arm
    rewards : (n, K)
        What each arm would earn, in any unit; numbers or truth values.
    available : (n, K) of truth values, optional
        Which arms are on offer; all where it is left out.

    Raises
    ------
    ValueError
        If lengths or numbers of arms differ, a number is not finite, or a round offers nothing.
    """

    def __init__(
        self, contexts: ArrayLike, rewards: ArrayLike, available: ArrayLike | None = None
    ) -> None:
        self.rewards = checks.finite("rewards", rewards, (None, None))
        n, K = self.rewards.shape
        if not n or not K:
            raise ValueError(f"rewards: got shape {self.rewards.shape}, expected (n, K)")
        rows = checks.finite("contexts", contexts)
        if rows.ndim not in (2, 3) or rows.shape[:-1] not in ((n,), (n, K)) or not rows.shape[-1]:
            expected = f"({n}, d), a row for all arms, or ({n}, {K}, d), a row for each"
            raise ValueError(f"contexts: got shape {rows.shape}, expected {expected}")
        self.contexts, self.shared = rows, rows.ndim == 2
        self.available = np.ones((n, K), dtype=bool) if available is None else np.array(available)
        offers = self.available
        if offers.dtype != bool or offers.shape != (n, K) or not offers.any(axis=1).all():
            raise ValueError(
                f"available: got dtype {offers.dtype} and shape {offers.shape}, expected booleans "
                f"of shape {(n, K)} with at least one arm on offer in each round"
            )

    def __len__(self) -> int:
        return len(self.rewards)

    def __getitem__(self, rounds: slice | np.ndarray) -> RewardTable:
        """Return some rounds, in the order of their places."""
        return RewardTable(self.contexts[rounds], self.rewards[rounds], self.available[rounds])

    def shuffled(self, seed: int) -> RewardTable:
        """Return the same rounds in an order of the seed's own: another world of this data."""
        order = worlds.generator(checks.integer("seed", seed, 0)).permutation(len(self))
        return self[order]

    def choices(self, policy: Policy, rounds: slice) -> np.ndarray:
        """Return the arms that a policy that does not learn shows, drawn by its own generator."""
        contexts, offers = self.contexts[rounds], self.available[rounds]
        draws = policy.rng.random(len(contexts))
        arms = np.empty(len(contexts), dtype=np.int64)
        size = max(1, MANY // (self.rewards.shape[1] * contexts.shape[-1]))
        for start in range(0, len(contexts), size):
            part = slice(start, start + size)
            rows = contexts[part, None, :] if self.shared else contexts[part]
            arms[part] = drawn(policy.probabilities(rows, offers[part]), draws[part], slice(None))
        return arms


def through_tables(
    tables: list[RewardTable], policy: Policy, start: int, n: int | None, single: bool
) -> tuple[np.ndarray, ...]:
    """Play the same rounds of all tables: arms, rewards, rewards again, best ones, (n, S) each."""
    shapes = {(len(t), t.contexts.shape[1:], t.rewards.shape[1:]) for t in tables}
    if len(shapes) != 1:
        raise ValueError(f"worlds: got tables of {len(shapes)} shapes, expected one for all")
    length = len(tables[0])
    n = checks.integer("n", length - start if n is None else n, 1, length - start)
    rounds = slice(start, start + n)
    rewards = np.stack([t.rewards[rounds] for t in tables], axis=1)  # (n, S, K)
    offers = np.stack([t.available[rounds] for t in tables], axis=1)
    if policy.learns:
        contexts = np.stack([t.contexts[rounds] for t in tables], axis=1)
        parts = (contexts, rewards, offers)
        parts = tuple(part[:, 0] for part in parts) if single else parts
        arms = round_by_round(policy, *parts).reshape(n, -1)
    else:
        arms = tables[0].choices(policy, rounds)[:, None]
    earned = np.take_along_axis(rewards, arms[..., None], axis=-1)[..., 0]
    return arms, earned, earned, np.where(offers, rewards, -np.inf).max(axis=-1)
