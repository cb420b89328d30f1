"""Feedback that comes late: a policy that hears of its clicks in batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks
from recsys.policies.base import Policy


class LateFeedback(checks.Checked):
    """Wraps a policy: its feedback waits until a batch is complete and is then handed on at once.

    Parameters
    ----------
    policy : Policy
        Chooses, and learns when the batch comes.
    batch : int
        Rounds whose feedback comes together; 1 is no delay.
    """

    def __init__(self, policy: Policy, batch: int) -> None:
        self.policy = policy
        self.batch = batch
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def _checked_setting(self, name: str, value: object) -> object:
        return checks.integer("batch", value, 1) if name == "batch" else value

    @property
    def learns(self) -> bool:
        """Whether the wrapped policy learns."""
        return self.policy.learns

    @property
    def rng(self) -> np.random.Generator:
        """The generator of the wrapped policy's draws."""
        return self.policy.rng

    def probabilities(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray:
        """Return the probability (..., K) with which ``select`` would choose each arm."""
        return self.policy.probabilities(contexts, available)

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the arm that the wrapped policy chooses by what it has been told so far."""
        return self.policy.select(contexts, available)

    def update(self, arm: ArrayLike, context: ArrayLike, reward: ArrayLike) -> None:
        """Keep the feedback of a round; hand the batch on, in order, when it is complete.

        Numbers that are none are refused here, shapes by the wrapped policy.
        """
        arms = checks.ids("arm", arm, 2**63 - 1)
        context, reward = checks.finite("context", context), checks.finite("reward", reward)
        self._waiting.append((arms.copy(), context.copy(), reward.copy()))
        if len(self._waiting) >= self.batch:
            batch, self._waiting = self._waiting, []
            for feedback in batch:
                self.policy.update(*feedback)
