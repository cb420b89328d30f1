"""Thompson sampling that learns how noisy rewards are, with a normal-inverse-gamma belief.

Shapes: K arms, d features; S worlds add a leading axis.
"""

from __future__ import annotations

import numpy as np

from recsys import checks
from recsys.linear.linucb import LinearThompson


class NormalInverseGammaThompson(LinearThompson):
    """Linear Thompson sampling, disjoint, in which nobody says how noisy rewards are.

    An arm believes r = θᵀx + ε with ε ~ N(0, σ²) and unknown σ². Before any round
    σ² ~ InvGamma(a₀, b₀) and θ ~ N(0, σ²/λ I); after n rounds, with A, b and θ̂ of the arm's ridge
    regression (``thm-ridge``), σ² ~ InvGamma(aₙ, bₙ) and θ ~ N(θ̂, σ²A⁻¹), where

        aₙ = a₀ + n/2,    bₙ = b₀ + ½ (Σ r² - bᵀθ̂)

    (Bishop 2006, exercises 3.12 and 3.13; Riquelme et al. 2018). A draw takes σ̃² first and then
    θ̃ᵀx, so a score is Student's, with 2aₙ degrees of freedom. ``estimates`` are θ̂ᵀx and
    √(bₙ/aₙ) √(xᵀA⁻¹x).

    Parameters
    ----------
    n_arms, n_features, alpha, ridge, n_worlds, rng :
        As for ``LinUCB``; ``alpha`` multiplies the spread of a draw, and with 1 it is the
        posterior's.
    shape, scale : float
        a₀ and b₀, above 0; b₀ in squared units of the reward. Their default, σ² about 1 by the
        weight of two rounds, suits rewards between -1 and 1.
    """

    fixed = (*LinearThompson.fixed, "shape", "scale")
    arrays = ("rounds", "squares")

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
        *,
        shape: float = 1.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__(n_arms, n_features, alpha, ridge, n_worlds, rng)
        self.shape = checks.number("shape", shape, 1e-6)
        self.scale = checks.number("scale", scale, 1e-100)
        each = (*self.worlds, self.n_arms)
        self.rounds, self.squares = np.zeros(each), np.zeros(each)  # n and Σ r²

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {"shape": self.shape, "scale": self.scale}

    def noise(self) -> tuple[np.ndarray, np.ndarray]:
        """Return aₙ and bₙ (K,) of every arm's belief about σ²."""
        explained = np.vecdot(self.memory.b, self.memory.theta)
        left = np.maximum(self.squares - explained, 0.0)  # which only rounding makes negative
        return self.shape + self.rounds / 2, self.scale + left / 2

    def _estimates(self, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, width = super()._estimates(contexts)
        a, b = self.noise()
        return mean, np.sqrt(b / a) * width

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return a draw (..., K) for contexts that are already checked."""
        mean, width = super()._estimates(contexts)
        a, b = self.noise()
        variance = b / self.rng.standard_gamma(np.broadcast_to(a, mean.shape))
        return mean + self.alpha * np.sqrt(variance) * width * self.rng.standard_normal(mean.shape)

    def _freedom(self) -> np.ndarray:
        return 2.0 * self.noise()[0]

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        super()._learn(arms, context, rewards)
        at = arms if self.n_worlds is None else (np.arange(self.n_worlds), arms)
        self.rounds[at] += 1.0
        self.squares[at] += rewards**2

    def _learn_many(self, arms: np.ndarray, contexts: np.ndarray, rewards: np.ndarray) -> None:
        super()._learn_many(arms, contexts, rewards)
        at = arms if self.n_worlds is None else (np.arange(self.n_worlds)[None, :], arms)
        np.add.at(self.rounds, at, 1.0)
        np.add.at(self.squares, at, rewards**2)
