"""What a linear policy remembers of each arm: ridge regression that learns one row at a time.

Of an arm's rows x and rewards r so far it keeps (``thm-ridge``)

    A = λI + Σ x xᵀ,    b = Σ r x,    θ̂ = A⁻¹b,

and answers one question: for a row x, what mean reward is estimated, θ̂ᵀx, and how wide is the
interval around it, √(xᵀA⁻¹x)? One more row changes A by x xᵀ, so A⁻¹ need not be computed again: it
follows by the Sherman–Morrison formula, in d² operations instead of d³ (``lem-sherman-morrison``).

That is ``RidgeMemory``, in which everything counts; in ``forgetful_memory`` only the recent past
does. What keeps it right and what keeps it fast stand behind calls of one line: ``_refresh`` takes
rounding errors away, ``widths`` reads no more numbers than a decision needs, and
``_rank_one_in_each`` does to a model of each of many worlds what ``_rank_one`` does in one.

A memory holds M models, one for each arm, or a single one that all arms share. Shapes: d features;
S worlds add a leading axis to every array. The policy that owns the memory checks the arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np

from recsys import checks
from recsys.linear.late_sums import LateSums
from recsys.linear.packed import Packing, add_outer, times
from recsys.linear.products import inner_products, outer, outside, within
from recsys.linear.state import KeptState
from recsys.linear.widths import widths_of

TRUSTED = (1e-2, 1e4)  # growth of a rank-one update outside of which it loses too many digits


class LinearMemory(KeptState):
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
        self._first = None if n_worlds is None else n_models * self._every_world  # model of each
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

    def add_many(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Learn n rows, in their order: model ids (n,), x (n, d), rewards (n,).

        Sums over all rows of a model and one fresh inverse are less work than n corrections.
        """
        raise NotImplementedError

    def _rows_of_each(
        self, models: np.ndarray
    ) -> Iterator[tuple[int, tuple[int, ...], np.ndarray]]:
        """Yield each model with rows: its place among all, its world, and which rows they are."""
        per_world = models.reshape(len(models), -1)  # (n, S)
        for world in range(per_world.shape[1]):
            mine = per_world[:, world]
            order = np.argsort(mine, kind="stable")
            found, starts = np.unique(mine[order], return_index=True)
            here = () if self._every_world is None else (world,)
            for model, rows in zip(found, np.split(order, starts[1:]), strict=True):
                yield int(model) + world * self.shape[-1], here, rows


class RidgeMemory(LinearMemory):
    """Remembers everything: A = λI + Σ x xᵀ, b = Σ r x, θ̂ = A⁻¹ b (``thm-ridge``).

    A⁻¹ starts at I/λ and follows each row by the Sherman–Morrison formula
    (``lem-sherman-morrison``), d² operations instead of d³.

    Notes
    -----
    A and A⁻¹ are kept as triangles (``packed``), symmetric whatever is rounded. Rounding errors
    must not pile up: A is a plain sum (``late_sums``), and A⁻¹ is computed from it afresh after
    every ``refresh_every`` updates of a model and whenever one update changes the volume det A by
    a factor outside ``TRUSTED``, where the formula subtracts numbers that are nearly equal.
    """

    refresh_every = 1024  # updates of one model between two fresh inverses
    of_models = ("_A", "_inverse", "_b", "_theta", "_age")
    in_a_row = True

    def __init__(
        self, n_models: int, n_features: int, ridge: float = 1.0, n_worlds: int | None = None
    ) -> None:
        super().__init__(n_models, n_features, ridge, n_worlds)
        n, d = math.prod(self.shape), self.n_features  # the models of all worlds, in one row
        self._packing = Packing(d)
        start = self._packing.pack(np.eye(d))
        self._sums = LateSums(  # A
            np.tile(self.ridge * start, (n, 1)), self._packing, math.prod(self.shape[:-1])
        )
        self._inverse = np.tile(start / self.ridge, (n, 1))  # A⁻¹
        self._b, self._theta = np.zeros((n, d)), np.zeros((n, d))
        self._age = np.zeros(n, dtype=np.int64)  # updates since the last fresh inverse
        self._start = start / self.ridge
        self._widths = widths_of(self._inverse, self._packing, self.shape, self.ridge)

    def estimates(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return θ̂ᵀx and √(xᵀA⁻¹x) for every model."""
        squared = self._widths.forms(rows)
        return inner_products(self.theta, rows), np.sqrt(np.maximum(squared, 0.0))

    def add(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Add the row to A, b and θ̂ of one model in each world."""
        at = self._place(models)
        self._sums.put_aside(at, x)
        self._rank_one(at, x, reward, 1.0)

    def add_many(self, models: np.ndarray, x: np.ndarray, reward: np.ndarray) -> None:
        """Add n rows to A, b and θ̂ of their models."""
        self._sums.settle()
        for one, world, rows in self._rows_of_each(models):
            X, r = x[(rows, *world)], reward[(rows, *world)]
            self._sums.sums[one] += self._packing.pack(X.T @ X)
            self._b[one] += r @ X
            self._invert(one)

    def state(self) -> dict[str, np.ndarray]:
        """Return A, A⁻¹, b, θ̂ and what is kept to read widths quickly, by name."""
        return super().state() | self._widths.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over the state of another memory, to the last bit."""
        super().restore(state)
        self._widths.restore(state)

    def with_models(self, n: int) -> Self:
        """Return a memory with n models more."""
        more = super().with_models(n)
        for at in np.flatnonzero((more._inverse != more._start).any(axis=1)):
            more._widths.follow(int(at), more._theta[at], 0.0, True)
        return more

    @property
    def _A(self) -> np.ndarray:
        """A of all models in one row, as triangles; a view."""
        self._sums.settle()
        return self._sums.sums

    @property
    def A(self) -> np.ndarray:
        """The matrices A (M, d, d), a copy."""
        self._sum_up()
        return self._in_worlds(self._packing.unpack(self._sums.sums))

    @property
    def A_inv(self) -> np.ndarray:
        """The matrices A⁻¹ (M, d, d), a copy."""
        return self._in_worlds(self._packing.unpack(self._inverse))

    @property
    def b(self) -> np.ndarray:
        """The sums b (M, d), a view."""
        return self._in_worlds(self._b)

    @property
    def theta(self) -> np.ndarray:
        """The estimates θ̂ (M, d), a view."""
        return self._in_worlds(self._theta)

    def _in_worlds(self, flat: np.ndarray) -> np.ndarray:
        """Return what is kept of all models in one row with their axes (..., M)."""
        if self._every_world is None:
            return flat
        return flat.reshape(self.shape + flat.shape[1:])

    def _place(self, models: np.ndarray) -> int | np.ndarray:
        """Return where one model of each world stands among the models of all worlds."""
        return int(models) if self._every_world is None else self._first + models

    def _rank_one(
        self, at: int | np.ndarray, x: np.ndarray, reward: np.ndarray, sign: float
    ) -> None:
        """Add a row (sign 1) or take one away (sign -1)."""
        if self._every_world is not None:
            self._rank_one_in_each(at, x, reward, sign)
            return
        A_inv, b = self._inverse[at], self._b[at]  # views
        direction = times(A_inv, x)  # A⁻¹x
        growth = 1.0 + sign * float(x.dot(direction))  # det A after / det A before
        step = sign / max(growth, TRUSTED[0])  # a smaller growth is refreshed below
        add_outer(A_inv, -step, direction)
        b += (sign * float(reward)) * x
        self._age[at] = age = int(self._age[at]) + 1
        due = age >= self.refresh_every or not TRUSTED[0] <= growth <= TRUSTED[1]
        if due:
            self._refresh(at)
        self._widths.follow(at, direction, step, due, x)
        self._theta[at] = times(A_inv, b)

    def _refresh(self, at: int) -> None:
        """Compute A⁻¹ from A: it is old, or the last update was badly scaled."""
        self._recount(at)
        self._inverse[at] = self._packing.pack(self._fresh(at))
        self._age[at] = 0

    def _fresh(self, one: int) -> np.ndarray:
        """Return the inverse of A of one model."""
        inverse, ends = inverse_and_ends(self._packing.unpack(self._sums.sums[one]))
        self._watch(*ends)
        return inverse

    def _rank_one_in_each(
        self, at: np.ndarray, x: np.ndarray, reward: np.ndarray, sign: float
    ) -> None:
        """Do the same to one model of each world, in a few calls for all of them."""
        A_inv, b = self._inverse.take(at, axis=0), self._b.take(at, axis=0)  # copies
        direction = np.matvec(self._packing.unpack(A_inv), x)
        growth = 1.0 + sign * np.vecdot(x, direction)
        step = sign / np.maximum(growth, TRUSTED[0])
        A_inv -= step[:, None] * self._packing.outer(direction)
        b += (sign * reward)[:, None] * x
        self._inverse[at], self._b[at] = A_inv, b
        self._age[at] = age = self._age[at] + 1
        if age.max() >= self.refresh_every or not within(growth, *TRUSTED):
            for one in at[(age >= self.refresh_every) | outside(growth, *TRUSTED)]:
                self._refresh(int(one))
            A_inv, b = self._inverse.take(at, axis=0), self._b.take(at, axis=0)
        self._widths.follow(at, direction, step, fresh=False)
        self._theta[at] = np.matvec(self._packing.unpack(A_inv), b)

    def _invert(self, one: int) -> None:
        """Compute all that follows from A and b of one model, after many rows came at once."""
        inverse = self._fresh(one)
        self._inverse[one] = self._packing.pack(inverse)
        self._age[one] = 0
        self._theta[one] = inverse @ self._b[one]
        self._widths.follow(one, self._theta[one], 0.0, True)

    def _recount(self, one: int) -> None:
        """Bring A and b of one model up to date before a fresh inverse."""
        self._sums.settle()

    def _sum_up(self) -> None:
        """Bring A of all models up to date."""
        self._sums.settle()


def fresh_inverse(A: np.ndarray) -> np.ndarray:
    """Return the inverse (d, d) of a symmetric positive definite matrix, exactly symmetric."""
    return inverse_and_ends(A)[0]


def inverse_and_ends(A: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the inverse, and the least and the largest eigenvalue of what was inverted.

    Features of very different size do no harm: they are first scaled by powers of two, which
    rounds nothing, so that the diagonal is near 1. The inverse of λI is exactly I/λ.
    """
    scale = np.exp2(-np.round(np.log2(np.diagonal(A)) / 2))
    values, vectors = np.linalg.eigh(A * outer(scale, scale))
    floor = len(A) * np.finfo(float).eps * values[-1]  # rounding may push a small value below 0
    inverse = (vectors / np.maximum(values, floor)) @ vectors.T
    inverse = (inverse + inverse.T) / 2 * outer(scale, scale)
    return inverse, (float(values[0]), float(values[-1]))
