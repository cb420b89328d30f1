"""A policy that learns, round by round: it chooses, earns, and hears of it before the next round.

Shapes: n rounds, K arms, d features; S worlds add an axis behind that of the rounds.
"""

from __future__ import annotations

import numpy as np

from recsys.policies import Policy


def round_by_round(
    policy: Policy,
    contexts: np.ndarray,
    mu: np.ndarray,
    on_sale: np.ndarray,
    uniforms: np.ndarray | None = None,
) -> np.ndarray:
    """Serve rounds one by one, each reward fed back before the next: arms (rounds, ...).

    The reward is a click if the visit's uniform is below mu, and without uniforms mu itself.
    """
    n, K = len(mu), mu.shape[-1]
    shared = contexts.ndim == on_sale.ndim  # a row of its own for each arm is an axis more
    offers = [None] * n if on_sale.all() else on_sale
    # the arms of all worlds in one row, in which arm a of world w has the place w K + a
    chances, rows = mu.reshape(n, -1), contexts.reshape(n, -1, contexts.shape[-1])
    first = K * np.arange(mu.shape[1]) if mu.ndim == 3 else 0
    arms = np.empty(mu.shape[:-1], dtype=np.int64)
    for t in range(n):
        arm = policy.select(contexts[t], offers[t])
        arms[t] = arm
        place = first + arm
        reward = chances[t].take(place)
        if uniforms is not None:
            reward = (uniforms[t] < reward).astype(float)
        policy.update(arm, contexts[t] if shared else rows[t].take(place, axis=0), reward)
    return arms
