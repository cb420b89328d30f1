"""LinUCB and its relatives: a ridge regression for each arm, and optimism about what it misses.

An arm with the rows x and rewards r so far has (``thm-ridge``)

    A = λI + Σ x xᵀ,    b = Σ r x,    θ̂ = A⁻¹b,

and its score for a new row x is the estimated reward plus α times how unsure it is,

    θ̂ᵀx + α √(xᵀA⁻¹x).

``memory`` holds the regressions, and ``forgetful_memory`` those that let old rounds go. The greedy
policy is ``LinUCB(..., alpha=0.0)``; ``policies.EpsilonGreedy`` around it is ε-greedy.

Shapes: K arms, d features; contexts are (K, d), a row per arm, or (d,), a row that all arms share.
With ``n_worlds=S`` every shape gets a leading axis of S.
"""

from __future__ import annotations

import numpy as np

from recsys import checks
from recsys.linear.forgetful_memory import DiscountedMemory, WindowMemory
from recsys.linear.memory import LinearMemory, RidgeMemory
from recsys.linear.persistence import PersistentPolicy
from recsys.policies import ThompsonSampling


class LinUCB(PersistentPolicy):
    """Disjoint LinUCB (``alg-linucb``; Li, Chu, Langford & Schapire 2010, with a ridge λ).

    Each arm a has a ridge regression of its own (``thm-ridge``). It shows the arm with the largest
    θ̂ₐᵀx + α √(xᵀAₐ⁻¹x), which is the largest value of θᵀx over an ellipsoid around θ̂ₐ
    (``lem-ucb-ellipsoid``), with ties broken at random. ``memory.RidgeMemory`` says how the
    inverses follow each update, and why their rounding errors do not pile up.

    Parameters
    ----------
    n_arms, n_features : int
        Numbers K of arms and d of features.
    alpha : float
        Width α of the confidence interval, at least 0, in units of the reward; 0 is greedy.
    ridge : float
        Penalty λ, at least 1e-12, in squared units of the features.
    n_worlds : int, optional
        Number S of independent worlds played at once; ``None`` for one world without the axis.
    rng : numpy.random.Generator, optional
        Source of the policy's own draws.

    Raises
    ------
    ValueError
        If an argument is out of its range; from ``select``, ``ucb`` and ``update`` if an argument
        has a wrong shape, is not finite or names no arm. The state is then unchanged.
    """

    learns = True
    longest = 1e100  # beyond it a product of sums could overflow
    fixed = (*PersistentPolicy.fixed, "gamma", "window", "memory")
    disjoint = True  # one model for each arm; False: one for all arms

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(n_arms, n_worlds, rng)
        self.alpha = alpha
        self.n_features = checks.integer("n_features", n_features, 1)
        self.memory = self._new_memory(self.n_arms if self.disjoint else 1, ridge)

    def _new_memory(self, n_models: int, ridge: float) -> LinearMemory:
        """Return what is kept of the past, here all of it."""
        return RidgeMemory(n_models, self.n_features, ridge, self.n_worlds)

    @property
    def theta(self) -> np.ndarray:
        """The estimates θ̂ₐ (K, d)."""
        return self.memory.theta

    @property
    def A_inv(self) -> np.ndarray:
        """The matrices Aₐ⁻¹ (K, d, d)."""
        return self.memory.A_inv

    def _estimates(self, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.memory.estimates(contexts)

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        self.memory.add(self._models(arms), context, rewards)
        self.memory.tell()

    def _learn_many(self, arms: np.ndarray, contexts: np.ndarray, rewards: np.ndarray) -> None:
        self.memory.add_many(self._models(arms), contexts, rewards)
        self.memory.tell()

    def _models(self, arms: np.ndarray) -> np.ndarray:
        """Return which regression each arm has."""
        return arms if self.disjoint else np.zeros_like(arms)


class DiscountedLinUCB(LinUCB):
    """LinUCB that forgets gradually: D-LinUCB of Russac, Vernade & Cappé 2019, disjoint.

    A round that is n rounds old counts γⁿ, whichever arm it taught, so an arm that is not shown
    becomes uncertain again. Score θ̂ₐᵀx + α √(xᵀVₐ⁻¹ṼₐVₐ⁻¹x); ``A_inv`` is Vₐ⁻¹.

    Parameters
    ----------
    n_arms, n_features, alpha, ridge, n_worlds, rng :
        As for ``LinUCB``.
    gamma : float
        Discount γ of a round, in [1e-6, 1]; about 1/(1-γ) rounds count. With 1 it is LinUCB.
    """

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
        *,
        gamma: float = 0.999,
    ) -> None:
        self.gamma = gamma  # the memory checks it
        super().__init__(n_arms, n_features, alpha, ridge, n_worlds, rng)

    def _new_memory(self, n_models: int, ridge: float) -> LinearMemory:
        return DiscountedMemory(n_models, self.n_features, ridge, self.n_worlds, self.gamma)


class SlidingWindowLinUCB(LinUCB):
    """LinUCB that forgets abruptly: SW-LinUCB of Cheung, Simchi-Levi & Zhu 2019, disjoint.

    Only the last ``window`` rounds count, whichever arm they taught; an arm that was not shown in
    them is as unknown as at the start.

    Parameters
    ----------
    n_arms, n_features, alpha, ridge, n_worlds, rng :
        As for ``LinUCB``.
    window : int
        Number of rounds that count, at least 1.
    """

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
        *,
        window: int = 1000,
    ) -> None:
        self.window = window  # the memory checks it
        super().__init__(n_arms, n_features, alpha, ridge, n_worlds, rng)

    def _new_memory(self, n_models: int, ridge: float) -> LinearMemory:
        return WindowMemory(n_models, self.n_features, ridge, self.n_worlds, self.window)


class SharedLinUCB(LinUCB):
    """LinUCB with one θ for all arms, whose rows (K, d) must tell the arms apart.

    What one arm teaches holds for all. ``theta`` is (d,) and ``A_inv`` is (d, d).

    Parameters
    ----------
    n_arms, n_features, alpha, ridge, n_worlds, rng :
        As for ``LinUCB``.
    gamma : float, optional
        Discount of a round, as in ``DiscountedLinUCB``.
    window : int, optional
        Number of rounds that count, as in ``SlidingWindowLinUCB``. Without either all count.
    """

    disjoint = False
    shares_rows = False

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
        *,
        gamma: float | None = None,
        window: int | None = None,
    ) -> None:
        if gamma is not None and window is not None:
            found = f"{window!r} beside a gamma of {gamma!r}"
            raise ValueError(f"window: got {found}, expected one way to forget")
        self.gamma, self.window = gamma, window  # the memory checks them
        super().__init__(n_arms, n_features, alpha, ridge, n_worlds, rng)

    def _new_memory(self, n_models: int, ridge: float) -> LinearMemory:
        size = (n_models, self.n_features, ridge, self.n_worlds)
        if self.gamma is not None:
            return DiscountedMemory(*size, self.gamma)
        return RidgeMemory(*size) if self.window is None else WindowMemory(*size, self.window)

    @property
    def theta(self) -> np.ndarray:
        """The estimate θ̂ (d,)."""
        return self.memory.theta[..., 0, :]

    @property
    def A_inv(self) -> np.ndarray:
        """The matrix A⁻¹ (d, d)."""
        return self.memory.A_inv[..., 0, :, :]


class LinearThompson(ThompsonSampling, LinUCB):
    """Linear Thompson sampling, disjoint: believes a draw from the posterior and is greedy on it.

    A draw is θ̃ₐ ~ N(θ̂ₐ, α²Aₐ⁻¹) (``prop-ridge-bayes``; Agrawal & Goyal 2013), and the arm with
    the largest θ̃ₐᵀx is shown. Takes the parameters of ``LinUCB``, whose ``ucb`` it keeps.

    Notes
    -----
    Only θ̃ₐᵀx matters, and it is N(θ̂ₐᵀx, α² xᵀAₐ⁻¹x). The posteriors of the arms are independent, so
    K independent normal numbers have exactly the joint distribution that K drawn vectors give,
    and no matrix is factored. With one θ for all arms this would be false.
    """
