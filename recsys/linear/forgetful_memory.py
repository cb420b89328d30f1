"""Memories that forget: by a window over the last rounds, or by a discount a round.

Both forget for every model in every round, whichever model the round taught: otherwise what is
known of an arm that is no longer shown would never grow old. Both take the parameters of
``LinearMemory``, and how to forget. Shapes as in ``memory``.
"""

from __future__ import annotations

import numpy as np

from recsys import checks
from recsys.linear.memory import TRUSTED, LinearMemory, RidgeMemory
from recsys.linear.products import matrix_times_rows, outer, quadratic_forms


class WindowMemory(RidgeMemory):
    """Remembers the last ``window`` rounds, whichever model they taught (Cheung et al. 2019).

    The row that leaves is taken out by the Sherman–Morrison formula with a minus sign. A model
    without a row in the window is exactly what it was at the start.

    Notes
    -----
    Taking rows out enlarges errors, so fresh inverses come more often, and A and b are summed
    again from the rows in the window before each; they also come when the last row of a model
    leaves, or a row so long that it cost the others digits. The ring has a place more than the
    window: the new row is written before the oldest leaves, so it always holds what A contains.
    """

    refresh_every = 64
    forgetting = ("window",)
    of_models = (*RidgeMemory.of_models, "_rows")
    of_rounds = ("rounds", "_model", "_x", "_reward")

    def __init__(
        self,
        n_models: int,
        n_features: int,
        ridge: float = 1.0,
        n_worlds: int | None = None,
        window: int = 1000,
    ) -> None:
        super().__init__(n_models, n_features, ridge, n_worlds)
        self.window = checks.integer("window", window, 1)
        self.rounds = 0
        self._rows = np.zeros(len(self._age), dtype=np.int64)  # of each model in the window
        ring = (*self.shape[:-1], self.window + 1)
        kind = np.int16 if n_models < 2**15 else np.int64  # short, for it is searched often
        self._model = np.full(ring, -1, dtype=kind)  # (window + 1,) model taught; -1: empty place
        self._x = np.zeros((*ring, self.n_features))  # (window + 1, d)
        self._reward = np.zeros(ring)  # (window + 1,)

    def add(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Add the row of this round and take out the row of ``window`` rounds ago."""
        places = self.window + 1
        new, old = self.rounds % places, (self.rounds + 1) % places
        self._model[..., new], self._x[..., new, :], self._reward[..., new] = models, x, reward
        at = self._place(models)
        self._rows[at] += 1
        self._rank_one(at, x, reward, 1.0)
        self.rounds += 1
        if self.rounds > self.window:
            at, x = self._place(self._model[..., old].astype(np.int64)), self._x[..., old, :]
            self._model[..., old] = -1
            self._rows[at] -= 1
            empty = self._rows[at] == 0
            heavy = np.vecdot(x, x) > TRUSTED[1] * self.ridge  # while here, it hid small numbers
            self._age[at] += (empty | heavy) * self.refresh_every  # so that the next line starts
            self._rank_one(at, x, self._reward[..., old], -1.0)  # afresh from the rows left

    def add_many(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Write the last ``window`` of n rows into the ring and sum all models again."""
        n, places = len(models), self.window + 1
        for i in range(max(0, n - self.window), n):
            new = (self.rounds + i) % places
            self._model[..., new], self._x[..., new, :], self._reward[..., new] = (
                models[i],
                x[i],
                reward[i],
            )
        if n > self.window:  # what is older than these rows
            kept = (self.rounds + np.arange(n - self.window, n)) % places
            self._model[..., np.setdiff1d(np.arange(places), kept)] = -1
        self.rounds += n
        self._model[..., self.rounds % places] = -1
        worlds = self._model.reshape(-1, places)
        counts = [np.bincount(w[w >= 0], minlength=self.shape[-1]) for w in worlds]
        self._rows[:] = np.concatenate(counts)
        for one in range(len(self._rows)):
            self._recount(one)
            self._invert(one)

    def _recount(self, one: int) -> None:
        """Sum A and b of one model again from its rows in the window."""
        *here, model = np.unravel_index(one, self.shape)
        here = tuple(here)
        mine = np.flatnonzero(self._model[here] == model)
        rows, rewards = self._x[here].take(mine, axis=0), self._reward[here].take(mine)
        A = self.ridge * np.eye(self.n_features) + rows.T @ rows
        self._sums.sums[one] = self._packing.pack(A)
        self._b[one] = rewards @ rows

    def _sum_up(self) -> None:
        for one in range(len(self._rows)):
            self._recount(one)


class DiscountedMemory(LinearMemory):
    """Lets every round fade by γ a round, for all models (Russac, Vernade & Cappé 2019).

    With the weights γ^age, V = λI + Σ γ^age x xᵀ, Ṽ = λI + Σ γ^(2 age) x xᵀ and b = Σ γ^age r x;
    the estimate is θ̂ = V⁻¹b and the width √(xᵀV⁻¹ṼV⁻¹x). These sums are what the recursions
    V ← γV + xxᵀ + (1-γ)λI and Ṽ ← γ²Ṽ + xxᵀ + (1-γ²)λI add up to.

    Notes
    -----
    Every model fades in every round, but only one gets a row, so the fading is done when it is
    asked for. Let G = Σ γ^age x xᵀ = QΛQᵀ at a model's last row. After n rounds without a row,
    V = λI + γⁿG = Q(λI + γⁿΛ)Qᵀ: the same eigenvectors, so nothing is inverted again. G and b are
    sums that fade, so errors fade as well; there is no drift. Eigenvalues are exact to about 1e-16
    of the largest one: features should be of comparable size.
    """

    forgetting = ("gamma",)
    of_models = ("_last", "_G", "_G_tilde", "_b", "_axes", "_values", "_b_axes", "_spread")
    of_rounds = ("rounds",)

    def __init__(
        self,
        n_models: int,
        n_features: int,
        ridge: float = 1.0,
        n_worlds: int | None = None,
        gamma: float = 0.999,
    ) -> None:
        super().__init__(n_models, n_features, ridge, n_worlds)
        self.gamma = checks.number("gamma", gamma, 1e-6, 1.0)
        d = self.n_features
        self.rounds = 0
        self._last = np.zeros(self.shape, dtype=np.int64)  # (M,) round of the last row
        self._G, self._G_tilde = (np.zeros((*self.shape, d, d)) for _ in range(2))  # at _last
        self._b = np.zeros((*self.shape, d))  # (M, d), at _last
        self._axes = np.tile(np.eye(d), (*self.shape, 1, 1))  # (M, d, d), rows of Qᵀ
        self._values = np.zeros((*self.shape, d))  # (M, d), diagonal of Λ
        self._b_axes = np.zeros((*self.shape, d))  # (M, d), Qᵀb
        self._spread = np.zeros((*self.shape, d, d))  # (M, d, d), Qᵀ G̃ Q

    @property
    def _fade(self) -> np.ndarray:
        return self.gamma ** (self.rounds - self._last)  # (M,)

    @property
    def A_inv(self) -> np.ndarray:
        """V⁻¹ (M, d, d) as of now."""
        inverse = 1.0 / (self.ridge + self._fade[..., None] * self._values)
        return self._axes.swapaxes(-1, -2) @ (inverse[..., None] * self._axes)

    @property
    def theta(self) -> np.ndarray:
        """θ̂ (M, d) as of now."""
        return np.matvec(self.A_inv, self._fade[..., None] * self._b)

    def estimates(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return θ̂ᵀx and √(xᵀV⁻¹ṼV⁻¹x) for every model."""
        fade = self._fade
        z = matrix_times_rows(self._axes, rows)  # Qᵀx
        z = z / (self.ridge + fade[..., None] * self._values)  # QᵀV⁻¹x
        squared = self.ridge * np.vecdot(z, z) + fade**2 * quadratic_forms(self._spread, z)
        return fade * np.vecdot(self._b_axes, z), np.sqrt(np.maximum(squared, 0.0))

    def add(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Let a round pass for all models and add the row to one in each world."""
        self.rounds += 1
        at = self._at(models)
        fade = (self.gamma ** (self.rounds - self._last[at]))[..., None]
        self._last[at] = self.rounds
        self._G[at] = fade[..., None] * self._G[at] + outer(x, x)
        self._G_tilde[at] = fade[..., None] ** 2 * self._G_tilde[at] + outer(x, x)
        self._b[at] = fade * self._b[at] + reward[..., None] * x
        self._decompose(at)

    def add_many(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Let n rounds pass; add to each model its rows, each as faded as it is at the last one."""
        for one, world, rows in self._rows_of_each(models):
            at = (*world, one % self.shape[-1])
            X, r, last = x[(rows, *world)], reward[(rows, *world)], self.rounds + rows[-1] + 1
            fade = self.gamma ** (last - self._last[at])
            weight = self.gamma ** (rows[-1] - rows)[:, None]
            self._last[at] = last
            self._G[at] = fade * self._G[at] + X.T @ (weight * X)
            self._G_tilde[at] = fade**2 * self._G_tilde[at] + X.T @ (weight**2 * X)
            self._b[at] = fade * self._b[at] + r @ (weight * X)
            self._decompose(at)
        self.rounds += len(models)

    def _decompose(self, at: tuple) -> None:
        """Compute what follows from G, G̃ and b of a model, or of one in each world."""
        values, vectors = np.linalg.eigh(self._G[at])
        largest = values.max()
        self._watch(self.ridge + max(values.min(), 0.0), largest)
        axes = vectors.swapaxes(-1, -2)
        self._values[at], self._axes[at] = np.maximum(values, 0.0), axes
        self._b_axes[at] = np.matvec(axes, self._b[at])
        self._spread[at] = axes @ self._G_tilde[at] @ vectors
