"""How unsure is every arm: xᵀA⁻¹x of many models, without reading more numbers than it takes.

The answer is ``products.quadratic_forms(A_inv, rows)``, and up to rounding nothing here has another
one. But a decision among many arms takes the time of reading their matrices, so less of them is
kept beside them, quick to read:

``AllTriangles``
    A⁻¹ is symmetric. Where all arms share the row x, its upper triangle is enough: half of it.

``FewRows``
    After n rows A⁻¹ = I/λ - Σᵢ sᵢ uᵢuᵢᵀ, where uᵢ is A⁻¹x and sᵢ is 1/(1 + xᵀA⁻¹x) at row i
    (``lem-sherman-morrison``), so xᵀA⁻¹x = ‖x‖²/λ - Σᵢ sᵢ (uᵢᵀx)²: n vectors to read in the place
    of a matrix, less than the d(d+1)/2 numbers of a triangle as long as n < d/2. An arm that was
    never played costs nothing. In a large catalogue most arms are of this kind.

Shapes: M models, d features; worlds add a leading axis where all triangles are kept.
"""

from __future__ import annotations

import math
from types import EllipsisType

import numpy as np

from recsys.linear.products import matvec, quadratic_forms, vecdot

LARGE = 2**18  # numbers in all matrices from which reading them takes longer than calling NumPy


def widths_of(shape: tuple[int, ...], d: int, ridge: float) -> FewRows | AllTriangles:
    """Return what answers xᵀA⁻¹x for a stack of matrices of this shape that all are I/λ now."""
    if len(shape) == 1 and shape[0] > 1 and shape[0] * d * d >= LARGE:
        return FewRows(shape[0], d, ridge)
    return AllTriangles(shape, d, ridge)


class AllTriangles:
    """Widths of matrices that fit the caches: triangles for a shared row, else the matrices."""

    def __init__(self, shape: tuple[int, ...], d: int, ridge: float) -> None:
        self.triangles = Triangles(shape, d)
        self.triangles[...] = np.eye(d) / ridge
        self.ndim = len(shape)  # of the stack of matrices

    def forms(self, rows: np.ndarray, matrices: np.ndarray) -> np.ndarray:
        """Return xᵀA⁻¹x (..., M) for a row that all models share, or a row each."""
        if rows.ndim <= self.ndim:
            return self.triangles.forms(rows)
        return quadratic_forms(matrices, rows)

    def follow(
        self,
        at: int | np.ndarray,
        matrix: np.ndarray,
        direction: np.ndarray,
        step: float,
        fresh: bool,
    ) -> None:
        """Take over the changed inverse (d, d) of a model, or (S, d, d) of one in each world."""
        self.triangles[at] = matrix


class Triangles:
    """The upper triangles of symmetric matrices, for forms xᵀMx in which all share the row x.

    xᵀMx is the sum of Mᵢⱼxᵢxⱼ over all i and j, and the terms (i, j) and (j, i) are equal. So the
    entries above the diagonal are kept doubled and those below it not at all: one product with the
    numbers xᵢxⱼ, i ≤ j, serves all matrices and reads half as much memory.

    Parameters
    ----------
    lead : tuple of int
        Shape (..., M) of the stack of matrices; they are to be set.
    d : int
        Rows and columns of a matrix.
    """

    def __init__(self, lead: tuple[int, ...], d: int) -> None:
        i, j = self.pairs = np.stack(np.triu_indices(d))  # (2, d(d+1)/2)
        self.place = d * i + j  # in a matrix written as one row
        self.times = np.where(i == j, 1.0, 2.0)
        self.lead = lead
        self.rows = np.empty((math.prod(lead), len(i)))  # a row for each model of each world

    @property
    def entries(self) -> np.ndarray:
        """The triangles (..., M, d(d+1)/2), a view."""
        return self.rows if len(self.lead) == 1 else self.rows.reshape(*self.lead, -1)

    def __setitem__(self, at: int | np.ndarray | EllipsisType, matrices: np.ndarray) -> None:
        """Copy other matrices to the places ``at`` among the models of all worlds, or to all."""
        if matrices.ndim == 2 and at is not ...:
            np.multiply(matrices.take(self.place), self.times, out=self.rows[at])
            return
        flat = matrices.reshape(*matrices.shape[:-2], -1)
        kept = self.entries if at is ... else self.rows
        kept[at] = flat.take(self.place, axis=-1) * self.times

    def forms(self, rows: np.ndarray, n: int | None = None) -> np.ndarray:
        """Return xᵀMx (..., M) for rows (..., d), or of the first n matrices of one world."""
        i, j = self.pairs
        products = rows.take(i, axis=-1) * rows.take(j, axis=-1)  # take is quicker than []
        return matvec(self.entries if n is None else self.rows[:n], products)


class FewRows:
    """Keeps each model as its corrections uᵢ, and as a triangle from d/2 corrections on.

    Parameters
    ----------
    n_models, n_features : int
    ridge : float
        The penalty λ: every model starts at I/λ.
    """

    def __init__(self, n_models: int, n_features: int, ridge: float) -> None:
        self.ridge = ridge
        self.limit = n_features // 2  # corrections that a model may have
        self.counts = np.zeros(n_models, dtype=np.int64)  # corrections of each model
        self.n = 0  # corrections of all models together
        self.vectors = np.empty((n_models, n_features))  # uᵢ, those of all models mixed
        self.steps = np.empty(n_models)  # sᵢ
        self.models = np.empty(n_models, dtype=np.int64)  # whose they are
        self.places = np.full(n_models, -1)  # of each model among the triangles
        self.whole = np.empty(0, dtype=np.int64)  # models that are kept as triangles
        self.triangles = Triangles((n_models,), n_features)  # pages are taken as they are filled

    def forms(self, rows: np.ndarray, matrices: np.ndarray) -> np.ndarray:
        """Return xᵀA⁻¹x (..., M) for a row (d,) that all models share, or a row each (..., M, d).

        ``matrices`` are the inverses (M, d, d) themselves. With a row each a correction meets a
        row that has to be fetched for it, and a matrix picked out of many has to be copied; once
        that is as much as to read them all, they are read, as they are for many visits at once.
        """
        (m, d), shared = (len(self.whole), len(matrices[0])), rows.ndim == 1
        if rows.ndim > 2 or (not shared and 4 * self.n + 2 * d * m > d * len(matrices)):
            return quadratic_forms(matrices, rows)
        vectors, models = self.vectors[: self.n], self.models[: self.n]
        along = vectors.dot(rows) if shared else np.vecdot(vectors, rows.take(models, axis=0))
        along *= along
        along *= self.steps[: self.n]
        squared = vecdot(rows, rows) / self.ridge - np.bincount(models, along, len(self.counts))
        if m:
            some = None if shared else matrices[self.whole]
            squared[self.whole] = (
                self.triangles.forms(rows, m) if shared else quadratic_forms(some, rows[self.whole])
            )
        return squared

    def follow(
        self, at: int, matrix: np.ndarray, direction: np.ndarray, step: float, fresh: bool
    ) -> None:
        """Take over a changed inverse (d, d): one more correction, or whole where it is fresh."""
        if fresh:
            self.replace(at, matrix)
        else:
            self.correct(at, direction, step, matrix)

    def correct(self, model: int, vector: np.ndarray, step: float, matrix: np.ndarray) -> None:
        """Take step u uᵀ from a model; ``matrix`` (d, d) is what its inverse is afterwards."""
        if self.places[model] >= 0 or self.counts[model] >= self.limit:
            self.replace(model, matrix)
            return
        if self.n == len(self.steps):
            self._grow()
        self.vectors[self.n], self.steps[self.n], self.models[self.n] = vector, step, model
        self.n += 1
        self.counts[model] += 1

    def replace(self, model: int, matrix: np.ndarray) -> None:
        """Keep another inverse (d, d) of a model, as a triangle from now on."""
        if self.places[model] < 0:
            self.places[model] = len(self.whole)
            self.whole = np.append(self.whole, model)
            self._drop(model)
        self.triangles[self.places[model]] = matrix

    def _drop(self, model: int) -> None:
        """Forget a model's corrections; the last ones of the others fill their places."""
        mine = self.models[: self.n] == model
        n = self.n - np.count_nonzero(mine)
        free, last = np.flatnonzero(mine[:n]), n + np.flatnonzero(~mine[n:])
        for kept in (self.vectors, self.steps, self.models):
            kept[free] = kept[last]
        self.n, self.counts[model] = int(n), 0

    def _grow(self) -> None:
        """Make room for twice as many corrections."""
        for name in ("vectors", "steps", "models"):
            kept = getattr(self, name)
            longer = np.empty((2 * len(kept), *kept.shape[1:]), dtype=kept.dtype)
            longer[: len(kept)] = kept
            setattr(self, name, longer)
