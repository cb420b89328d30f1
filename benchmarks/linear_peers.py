"""Other people's LinUCB behind one pair of verbs, ``select`` and ``update``, as thinly as possible.

``context`` turns a row into the form that a peer takes. Races call it before the clock starts, so
nobody pays for another's conventions. Where a peer can tell its scores, ``scores`` does.
"""

from __future__ import annotations

import math

import gittins
import numpy as np
from contextualbandits.online import LinUCB as CythonLinUCB
from mabwiser.mab import MAB, LearningPolicy
from obp.policy import LinUCB as PipelineLinUCB
from river.bandit import LinUCBDisjoint

from recsys.linear.linucb import LinUCB


class Peer:
    """Base: what all peers share."""

    def context(self, x: np.ndarray) -> object:
        """Return the row in the form that this peer takes."""
        return x

    def select(self, context: object) -> int:
        """Return the arm to show."""
        raise NotImplementedError

    def update(self, arm: int, context: object, reward: float) -> None:
        """Learn the reward of the arm that was shown."""
        raise NotImplementedError


class Ours(Peer):
    """``recsys.linucb.LinUCB`` through its public verbs."""

    def __init__(self, n_arms: int, d: int, alpha: float, ridge: float) -> None:
        self.policy = LinUCB(n_arms, d, alpha, ridge)
        self.select, self.update = self.policy.select, self.policy.update
        self.scores = self.policy.ucb


class Textbook(Peer):
    """Algorithm 1 of Li et al. 2010 as printed: in each round every arm's matrix is inverted."""

    def __init__(self, n_arms: int, d: int, alpha: float, ridge: float) -> None:
        self.A = np.stack([ridge * np.eye(d) for _ in range(n_arms)])
        self.b = np.zeros((n_arms, d))
        self.alpha = alpha

    def scores(self, context: np.ndarray) -> np.ndarray:
        """Return the upper confidence bounds (K,) for a row (d,) or a row for each arm (K, d)."""
        scores = np.empty(len(self.A))
        for arm in range(len(self.A)):
            x = context if context.ndim == 1 else context[arm]
            A_inv = np.linalg.inv(self.A[arm])
            theta = A_inv @ self.b[arm]
            scores[arm] = theta @ x + self.alpha * math.sqrt(x @ A_inv @ x)
        return scores

    def select(self, context: np.ndarray) -> int:
        """Return the first of the best arms."""
        return int(self.scores(context).argmax())

    def update(self, arm: int, context: np.ndarray, reward: float) -> None:
        """Add the row (d,) of the arm that was shown to its sums."""
        self.A[arm] += np.outer(context, context)
        self.b[arm] += reward * context


class TextbookAtOnce(Textbook):
    """The textbook with one call of ``numpy.linalg.inv`` for all arms and batched products."""

    def scores(self, context: np.ndarray) -> np.ndarray:
        """Return the upper confidence bounds (K,)."""
        A_inv = np.linalg.inv(self.A)
        rows = np.broadcast_to(context, self.b.shape)
        mean = np.einsum("kij,kj,ki->k", A_inv, self.b, rows, optimize=True)
        squared = np.vecdot(np.matvec(A_inv, rows), rows)
        return mean + self.alpha * np.sqrt(squared)


class EightLines(Peer):
    """What a user would write instead: Sherman–Morrison in plain NumPy, without a check.

    A row that all arms share; ``EightLinesOfRows`` takes a row for each arm.
    """

    def __init__(self, n_arms: int, d: int, alpha: float, ridge: float) -> None:
        self.A_inv = np.stack([np.eye(d) / ridge for _ in range(n_arms)])
        self.b, self.theta, self.alpha = np.zeros((n_arms, d)), np.zeros((n_arms, d)), alpha

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the upper confidence bounds (K,)."""
        return self.theta @ x + self.alpha * np.sqrt((self.A_inv @ x) @ x)

    def select(self, x: np.ndarray) -> int:
        """Return the first of the best arms."""
        return int(np.argmax(self.scores(x)))

    def update(self, arm: int, x: np.ndarray, reward: float) -> None:
        """Correct the inverse of the arm that was shown."""
        u = self.A_inv[arm] @ x
        self.A_inv[arm] -= np.outer(u, u) / (1.0 + x @ u)
        self.b[arm] += reward * x
        self.theta[arm] = self.A_inv[arm] @ self.b[arm]


class EightLinesOfRows(EightLines):
    """The same for a row for each arm."""

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the upper confidence bounds (K,) for rows (K, d)."""
        squared = np.einsum("ki,kij,kj->k", x, self.A_inv, x, optimize=True)
        return np.einsum("kd,kd->k", self.theta, x) + self.alpha * np.sqrt(squared)


class Mabwiser(Peer):
    """Disjoint LinUCB of mabwiser.

    It starts the inverse of an arm at λI instead of I/λ. A first row of zeros for each arm adds
    nothing to the sums, but lets it compute the inverse, so that the formula is ours. With
    ``as_it_starts=True`` only the first arm gets such a row, as its interface demands.
    """

    def __init__(
        self, n_arms: int, d: int, alpha: float, ridge: float, as_it_starts: bool = False
    ) -> None:
        self.bandit = MAB(list(range(n_arms)), LearningPolicy.LinUCB(alpha, l2_lambda=ridge))
        first = 1 if as_it_starts else n_arms
        self.bandit.fit(np.arange(first), np.zeros(first), np.zeros((first, d)))

    def context(self, x: np.ndarray) -> np.ndarray:
        """Return a matrix of one row."""
        return x[None]

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the bounds (K,) for a row, or (n, K) for n rows."""
        found = self.bandit.predict_expectations(np.atleast_2d(x))
        found = found if isinstance(found, list) else [found]
        return np.array([list(of.values()) for of in found]).squeeze()

    def select(self, context: np.ndarray) -> int:
        """Return the arm to show."""
        return self.bandit.predict(context)

    def update(self, arm: int, context: np.ndarray, reward: float) -> None:
        """Learn one row."""
        self.bandit.partial_fit(np.array([arm]), np.array([reward]), context)


class Contextualbandits(Peer):
    """Disjoint LinUCB of contextualbandits, in double precision and without its intercept.

    Nothing has to be registered: ``ucb_from_empty`` gives arms without rows their bound.
    """

    def __init__(self, n_arms: int, d: int, alpha: float, ridge: float) -> None:
        self.bandit = CythonLinUCB(
            n_arms,
            alpha=alpha,
            lambda_=ridge,
            fit_intercept=False,
            use_float=False,
            method="sm",
            ucb_from_empty=True,
            random_state=1,
        )
        every = np.arange(n_arms)  # rows of zeros, because it must be fitted before it predicts
        self.bandit.partial_fit(np.zeros((n_arms, d)), a=every, r=np.zeros(n_arms))

    def context(self, x: np.ndarray) -> np.ndarray:
        """Return a matrix of one row."""
        return np.ascontiguousarray(x[None])

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the bounds (K,) for a row."""
        return self.bandit.decision_function(x[None])[0]

    def select(self, context: np.ndarray) -> int:
        """Return the arm to show."""
        return int(self.bandit.predict(context)[0])

    def update(self, arm: int, context: np.ndarray, reward: float) -> None:
        """Learn one row."""
        self.bandit.partial_fit(context, a=np.array([arm]), r=np.array([reward]))


class Obp(Peer):
    """Disjoint LinUCB of the Open Bandit Pipeline, which fixes λ = 1."""

    def __init__(self, n_arms: int, d: int, alpha: float, ridge: float = 1.0) -> None:
        self.bandit = PipelineLinUCB(dim=d, n_actions=n_arms, epsilon=float(alpha))

    def context(self, x: np.ndarray) -> np.ndarray:
        """Return a matrix of one row."""
        return x[None]

    def select(self, context: np.ndarray) -> int:
        """Return the arm to show."""
        return int(self.bandit.select_action(context)[0])

    def update(self, arm: int, context: np.ndarray, reward: float) -> None:
        """Learn one row."""
        self.bandit.update_params(arm, reward, context)


class River(Peer):
    """``LinUCBDisjoint`` of river: mean plus the predictive deviation, noise included.

    Its width cannot be chosen, so its arms are not ours.
    """

    def __init__(self, n_arms: int, d: int, alpha: float = 1.0, ridge: float = 1.0) -> None:
        self.bandit = LinUCBDisjoint(alpha=ridge, beta=1.0, seed=0)
        self.arms = list(range(n_arms))

    def context(self, x: np.ndarray) -> dict[int, float]:
        """Return a dictionary of the features."""
        return dict(enumerate(x.tolist()))

    def select(self, context: dict[int, float]) -> int:
        """Return the arm to show."""
        return self.bandit.pull(self.arms, context)

    def update(self, arm: int, context: dict[int, float], reward: float) -> None:
        """Learn one row."""
        self.bandit.update(arm, context, reward)


class Gittins(Peer):
    """The engine gittins (Rust), which keeps no matrix: hashed weights, another formula.

    Parameters
    ----------
    attribute : bool
        Whether an arm is described by an attribute besides its id. It learns as well without.
    """

    def __init__(
        self,
        n_arms: int,
        d: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        attribute: bool = False,
    ) -> None:
        bits = math.ceil(math.log2(n_arms * (d + 1))) + 2  # four places for each weight
        self.state = gittins.create(bits=bits, horizon=1e9)
        arms = [str(arm) for arm in range(n_arms)]
        self.arms = [(arm, {"arm": arm} if attribute else {}) for arm in arms]
        self.clock = 0.0

    def context(self, x: np.ndarray) -> dict[str, float]:
        """Return a dictionary of the features."""
        return {f"x{i}": value for i, value in enumerate(x.tolist())}

    def select(self, context: dict[str, float]) -> int:
        """Return the arm to show."""
        self.clock += 1.0
        self.record = gittins.decide(self.state, context, self.arms, self.clock, "race")
        return self.record.chosen

    def update(self, arm: int, context: dict[str, float], reward: float) -> None:
        """Give the reward of the last decision; another arm than its own cannot be taught."""
        gittins.learn(self.state, self.record.decision_id, reward, self.clock)
