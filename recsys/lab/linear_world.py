"""A world in which the theorems' assumptions hold: each arm's click rate is linear in the features.

There the true weights are known, so what a confidence ellipsoid promises can be held against what
it would have needed, and the bound on the regret against the regret.

Shapes: S worlds, K arms, d features, T rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys import checks
from recsys.policies import Policy


class LinearPolicy(Policy, Protocol):
    """A policy that estimates weights for each arm in S worlds."""

    theta: np.ndarray  # (S, K, d)


@dataclass(frozen=True)
class LinearPlay:
    """What a policy did in linear worlds; every row is about the arm that was shown.

    Attributes
    ----------
    regret : ndarray (T, S)
        Click rate of the best arm less that of the arm shown.
    squares : ndarray (T, S)
        Squared width xᵀA⁻¹x of the row that was played, before its round.
    needed : ndarray (T, S)
        Distance of estimate and true weights in the norm of A, after the round.
    log_det : ndarray (T, S)
        Logarithm of det A, after the round.
    A : ndarray (S, K, d, d)
        The matrices I + Σ x xᵀ of all arms at the end.
    """

    regret: np.ndarray
    squares: np.ndarray
    needed: np.ndarray
    log_det: np.ndarray
    A: np.ndarray


def play_linear_world(policy: LinearPolicy, n_rounds: int, rng: np.random.Generator) -> LinearPlay:
    """Let a disjoint linear policy with ridge 1 play in S linear worlds at once.

    A visitor's features are positive and sum to one; an arm's weights lie between 0 and 1/2. The
    matrices A are built here from the rows that were played and not read from the policy.
    """
    n_rounds = checks.integer("n_rounds", n_rounds, 1)
    n_worlds, n_arms, d = policy.theta.shape
    each, shape = np.arange(n_worlds), (n_rounds, n_worlds)
    weights = rng.uniform(0, 0.5, (n_worlds, n_arms, d))
    A = np.tile(np.eye(d), (n_worlds, n_arms, 1, 1))
    play = LinearPlay(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), A)
    for t in range(n_rounds):
        x, luck = rng.dirichlet(np.ones(d), n_worlds), rng.random(n_worlds)
        arm, mu = policy.select(x), np.einsum("skd,sd->sk", weights, x)
        play.regret[t] = mu.max(axis=1) - mu[each, arm]
        play.squares[t] = (x * np.linalg.solve(A[each, arm], x[..., None])[..., 0]).sum(axis=1)
        policy.update(arm, x, luck < mu[each, arm])
        A[each, arm] += x[:, :, None] * x[:, None, :]
        off = policy.theta[each, arm] - weights[each, arm]
        play.needed[t] = np.sqrt(np.einsum("sd,sde,se->s", off, A[each, arm], off))
        play.log_det[t] = np.linalg.slogdet(A[each, arm])[1]
    return play
