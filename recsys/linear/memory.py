"""What a linear policy remembers of each arm: ridge regression that learns one row at a time.

Of an arm's rows x and rewards r so far it keeps (``thm-ridge``)

    A = λI + Σ x xᵀ,    b = Σ r x,    θ̂ = A⁻¹b,

and answers one question: for a row x, what mean reward is estimated, θ̂ᵀx, and how wide is the
interval around it, √(xᵀA⁻¹x)? One more row changes A by x xᵀ, so A⁻¹ need not be computed again: it
follows by the Sherman–Morrison formula, in d² operations instead of d³ (``lem-sherman-morrison``).

That is ``RidgeMemory``, in which everything counts; in ``forgetful_memory`` only the recent past
does. What keeps it right and what keeps it fast stand behind calls of one line: ``_refresh`` takes
rounding errors away, ``widths`` reads no more numbers than a decision needs, and ``products`` does
to one row what it does to a row for each of many worlds.

A memory holds M models, one for each arm, or a single one that all arms share. Shapes: d features;
S worlds add a leading axis to every array. The policy that owns the memory checks the arguments.
"""

from __future__ import annotations

import numpy as np

from recsys import checks
from recsys.linear.products import at_least, inner_products, matvec, outer, scaled, vecdot
from recsys.linear.widths import widths_of

TRUSTED = (1e-2, 1e4)  # growth of a rank-one update outside of which it loses too many digits


class LinearMemory:
    """Base: M ridge regressions over d features in each world.

    Parameters
    ----------
    n_models : int
        Number M of regressions: one for each arm, or 1 for all arms together.
    n_features : int
        Number d of features.
    ridge : float
        The penalty λ, at least 1e-12, in squared units of the features.
    n_worlds : int, optional
        Number S of independent worlds; ``None`` for one world without the axis.

    Attributes
    ----------
    theta, A_inv : ndarray
        The estimates θ̂ (M, d) and the matrices A⁻¹ (M, d, d).
    """

    theta: np.ndarray
    A_inv: np.ndarray

    def __init__(
        self, n_models: int, n_features: int, ridge: float = 1.0, n_worlds: int | None = None
    ) -> None:
        self.n_features = checks.integer("n_features", n_features, 1)
        self.ridge = checks.number("ridge", ridge, 1e-12)
        self._every_world = None if n_worlds is None else np.arange(n_worlds)  # an index
        self.shape = (n_models,) if n_worlds is None else (n_worlds, n_models)

    def _at(self, models: np.ndarray) -> tuple:
        """Return the index of one model in each world."""
        return (int(models),) if self._every_world is None else (self._every_world, models)

    def estimates(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimated mean rewards and their widths, (..., M) each.

        Rows are (..., M, d), or (d,) where all models share one, (S, d) in S worlds. A memory of
        one model takes rows (..., K, d) and returns K of each.
        """
        raise NotImplementedError

    def add(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Learn one row and its reward in each world: model ids (), x (d,), reward ()."""
        raise NotImplementedError


class RidgeMemory(LinearMemory):
    """Remembers everything: A = λI + Σ x xᵀ, b = Σ r x, θ̂ = A⁻¹ b (``thm-ridge``).

    A⁻¹ starts at I/λ and follows each row by the Sherman–Morrison formula
    (``lem-sherman-morrison``), d² operations instead of d³.

    Notes
    -----
    Rounding errors must not pile up. The correction of A⁻¹ is exactly symmetric, so A⁻¹ stays
    symmetric. A itself is kept as a plain sum, and A⁻¹ is computed from it afresh after every
    ``refresh_every`` updates of a model and whenever one update changes the volume det A by a
    factor outside ``TRUSTED``, where the formula subtracts numbers that are nearly equal.
    """

    refresh_every = 1024  # updates of one model between two fresh inverses

    def __init__(
        self, n_models: int, n_features: int, ridge: float = 1.0, n_worlds: int | None = None
    ) -> None:
        super().__init__(n_models, n_features, ridge, n_worlds)
        d = self.n_features
        self._both = np.empty((2, *self.shape, d, d))  # A and A⁻¹, which change together
        self._both[0], self._both[1] = self.ridge * np.eye(d), np.eye(d) / self.ridge
        self.b = np.zeros((*self.shape, d))  # (M, d)
        self.theta = np.zeros((*self.shape, d))  # (M, d)
        self._age = np.zeros(self.shape, dtype=np.int64)  # updates since the last fresh inverse
        self._pair = np.zeros((2, *self.shape[:-1], d))  # x and A⁻¹x of the row that comes,
        self._change = np.zeros((*self._pair.shape, d))  # and what it adds to A and A⁻¹
        self._widths = widths_of(self.shape, d, self.ridge)  # a copy of A⁻¹, quick to read

    def estimates(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return θ̂ᵀx and √(xᵀA⁻¹x) for every model."""
        squared = self._widths.forms(rows, self.A_inv)
        return inner_products(self.theta, rows), np.sqrt(np.maximum(squared, 0.0))

    def add(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Add the row to A, b and θ̂ of one model in each world."""
        self._rank_one(self._at(models), x, reward, 1.0)

    @property
    def A(self) -> np.ndarray:
        """The matrices A (M, d, d), a view."""
        return self._both[0]

    @property
    def A_inv(self) -> np.ndarray:
        """The matrices A⁻¹ (M, d, d), a view."""
        return self._both[1]

    def _rank_one(self, at: tuple, x: np.ndarray, reward: np.ndarray, sign: float) -> None:
        """Add a row (sign 1) or take one away (sign -1)."""
        direction = matvec(self.A_inv[at], x)  # A⁻¹x
        growth = 1.0 + sign * vecdot(x, direction)  # det A after / det A before
        step = sign / at_least(growth, TRUSTED[0])  # a smaller growth is refreshed below
        self._add_outer(at, x, sign, direction, -step)  # A += ±xxᵀ, A⁻¹ -= step A⁻¹x(A⁻¹x)ᵀ
        self.b[at] += scaled(x, sign * reward)
        self._age[at] += 1
        self._refresh(at, growth)
        self._widths.follow(at, self.A_inv[at], direction, step, fresh=self._age[at] == 0)
        self.theta[at] = matvec(self.A_inv[at], self.b[at])

    def _add_outer(
        self, at: tuple, x: np.ndarray, sign: float, direction: np.ndarray, factor: np.ndarray
    ) -> None:
        """Add sign x xᵀ to A and factor u uᵀ, u the direction, to A⁻¹: one call for both.

        The products of vectors are exactly symmetric, and so remains what they are added to.
        """
        pair, change = self._pair, self._change
        pair[0], pair[1] = x, direction
        np.multiply(pair[..., :, None], pair[..., None, :], out=change)
        if sign < 0:
            change[0] *= sign
        if self._every_world is None:
            change[1] *= factor
            both = self._both[:, at[0]]  # a view
            both += change
        else:
            change[1] *= factor[:, None, None]
            self._both[:, *at] += change

    def _refresh(self, at: tuple, growth: np.ndarray) -> None:
        """Compute A⁻¹ from A where it is old or the last update was badly scaled."""
        old = self._age[at] >= self.refresh_every
        due = old | (growth < TRUSTED[0]) | (growth > TRUSTED[1])
        if not (due if self._every_world is None else due.any()):
            return
        for world in np.argwhere(due):
            one = tuple(np.asarray(part)[tuple(world)] for part in at)
            self._recount(one)
            self.A_inv[one] = fresh_inverse(self.A[one])
            self._age[one] = 0

    def _recount(self, one: tuple) -> None:
        """Mend A and b of one model before a fresh inverse; plain sums need no mending."""


def fresh_inverse(A: np.ndarray) -> np.ndarray:
    """Return the inverse (d, d) of a symmetric positive definite matrix, exactly symmetric.

    Features of very different size do no harm: they are first scaled by powers of two, which
    rounds nothing, so that the diagonal is near 1. The inverse of λI is exactly I/λ.
    """
    scale = np.exp2(-np.round(np.log2(np.diagonal(A)) / 2))
    values, vectors = np.linalg.eigh(A * outer(scale, scale))
    floor = len(A) * np.finfo(float).eps * values[-1]  # rounding may push a small value below 0
    inverse = (vectors / np.maximum(values, floor)) @ vectors.T
    return (inverse + inverse.T) / 2 * outer(scale, scale)
