"""How unsure is every arm: xᵀA⁻¹x of many models, without reading more numbers than it takes.

The answer is ``products.quadratic_forms(A_inv, rows)``, and up to rounding nothing here has another
one. But a decision among many arms takes the time of reading their matrices:

``FromTriangles``
    Where all arms share the row x, the triangles (``packed``) are enough. Where each arm has a row
    of its own, whole matrices are quicker, so they are kept too from the first such call on.

``FewRows``
    After n rows A⁻¹ = I/λ - Σᵢ sᵢ uᵢuᵢᵀ, where uᵢ is A⁻¹x and sᵢ is 1/(1 + xᵀA⁻¹x) at row i
    (``lem-sherman-morrison``), so xᵀA⁻¹x = ‖x‖²/λ - Σᵢ sᵢ (uᵢᵀx)²: n vectors to read in the place
    of a matrix, less than the d(d+1)/2 numbers of a triangle as long as n < d/2. An arm that was
    never played costs nothing. In a large catalogue most arms are of this kind.

Shapes: M models, d features; worlds add a leading axis where all triangles are kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recsys.linear.packed import Packing
from recsys.linear.products import quadratic_forms, vecdot

LONG = 1e6  # ‖x‖²/λ of a row after which a model is kept as a triangle
LARGE = 2**18  # numbers in all matrices from which reading them takes longer than calling NumPy


def widths_of(
    inverses: np.ndarray, packing: Packing, shape: tuple[int, ...], ridge: float
) -> FromTriangles:
    """Return what answers xᵀA⁻¹x for a stack (..., M) of inverses that all are I/λ now."""
    if len(shape) == 1 and shape[0] > 1 and shape[0] * packing.d**2 >= LARGE:
        return FewRows(inverses, packing, shape, ridge)
    return FromTriangles(inverses, packing, shape)


class FromTriangles:
    """Widths from the inverses as they are kept.

    Parameters
    ----------
    inverses : ndarray (n, d(d+1)/2)
        The inverses of the models of all worlds in one row, as triangles; who changes them in
        place says so by ``follow``.
    packing : Packing
    shape : tuple of int
        (M,) or (S, M).
    """

    def __init__(self, inverses: np.ndarray, packing: Packing, shape: tuple[int, ...]) -> None:
        self.inverses, self.packing, self.shape = inverses, packing, shape
        self._matrices: np.ndarray | None = None  # the same, whole; None until they are needed

    def forms(self, rows: np.ndarray) -> np.ndarray:
        """Return xᵀA⁻¹x (..., M) for a row that all models share, or a row each."""
        if rows.ndim <= len(self.shape):
            return self.packing.forms(self.inverses.reshape(*self.shape, -1), rows)
        matrices = self._whole()
        return quadratic_forms(matrices.reshape(*self.shape, *matrices.shape[1:]), rows)

    def _whole(self) -> np.ndarray:
        """Return the inverses as matrices (n, d, d)."""
        if self._matrices is None:
            self._matrices = self.packing.unpack(self.inverses)
        return self._matrices

    def state(self) -> dict[str, np.ndarray]:
        """Return what is kept besides the inverses, by name."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over the state of another one of the same form, whose inverses have come."""
        self._matrices = None

    def follow(
        self,
        at: int | np.ndarray,
        direction: np.ndarray,
        step: float,
        fresh: bool,
        x: np.ndarray | None = None,
    ) -> None:
        """Take note that the inverse of a model has changed, or of one in each world.

        It lost ``step`` times the outer product of ``direction`` by the row x; ``fresh``: it is
        another one.
        """
        if self._matrices is not None:
            self._matrices[at] = self.packing.unpack(self.inverses[at])


class FewRows(FromTriangles):
    """Keeps each model as its corrections uᵢ, and as a triangle from d/2 corrections on.

    The triangles of these models are copies that stand together, so that they are read in one go.

    Parameters
    ----------
    inverses, packing, shape :
        As for ``FromTriangles``, of one world.
    ridge : float
        The penalty λ: every model starts at I/λ.
    """

    def __init__(
        self, inverses: np.ndarray, packing: Packing, shape: tuple[int, ...], ridge: float
    ) -> None:
        super().__init__(inverses, packing, shape)
        self.ridge, (n_models,), n_features = ridge, shape, packing.d
        self.limit = n_features // 2  # corrections that a model may have
        self.counts = np.zeros(n_models, dtype=np.int64)  # corrections of each model
        self.n = 0  # corrections of all models together
        self.vectors = np.empty((n_models, n_features))  # uᵢ, those of all models mixed
        self.steps = np.empty(n_models)  # sᵢ
        self.models = np.empty(n_models, dtype=np.int64)  # whose they are
        self.places = np.full(n_models, -1)  # of each model among the triangles
        self.whole = np.empty(0, dtype=np.int64)  # models that are kept as triangles
        self.triangles = np.empty((n_models, packing.size))  # pages are taken as they are filled

    def forms(self, rows: np.ndarray) -> np.ndarray:
        """Return xᵀA⁻¹x (..., M) for a row (d,) that all models share, or a row each (..., M, d).

        With a row each a correction meets a row that has to be fetched for it, and a matrix picked
        out of many has to be copied; once that is as much as to read all matrices, they are read,
        as they are for many visits at once.
        """
        m, d, shared = len(self.whole), self.packing.d, rows.ndim == 1
        if rows.ndim > 2 or (not shared and 4 * self.n + 2 * d * m > d * len(self.counts)):
            return super().forms(rows)
        vectors, models = self.vectors[: self.n], self.models[: self.n]
        along = vectors.dot(rows) if shared else np.vecdot(vectors, rows.take(models, axis=0))
        along *= along
        along *= self.steps[: self.n]
        squared = vecdot(rows, rows) / self.ridge - np.bincount(models, along, len(self.counts))
        if m and shared:
            squared[self.whole] = self.packing.forms(self.triangles[:m], rows)
        elif m:
            matrices = self.packing.unpack(self.inverses[self.whole])
            squared[self.whole] = quadratic_forms(matrices, rows[self.whole])
        return squared

    def follow(
        self,
        at: int,
        direction: np.ndarray,
        step: float,
        fresh: bool,
        x: np.ndarray | None = None,
    ) -> None:
        """Keep one more correction of the model, or its inverse as it is now.

        Corrections are taken from ‖x‖²/λ, so after a long row too few digits would be left.
        """
        super().follow(at, direction, step, fresh)
        fresh = fresh or (x is not None and x.dot(x) > LONG * self.ridge)
        if fresh or self.places[at] >= 0 or self.counts[at] >= self.limit:
            self._replace(at)
        else:
            self._correct(at, direction, step)

    def state(self) -> dict[str, np.ndarray]:
        """Return the corrections and the triangles that are in use."""
        used = {name: getattr(self, name)[: self.n] for name in ("vectors", "steps", "models")}
        used |= {name: getattr(self, name) for name in ("counts", "places", "whole")}
        return used | {"triangles": self.triangles[: len(self.whole)]}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over corrections and triangles."""
        super().restore(state)
        self.n, self.whole = len(state["steps"]), state["whole"].copy()
        while len(self.steps) < self.n:
            self._grow()
        for name in ("vectors", "steps", "models", "counts", "places", "triangles"):
            getattr(self, name)[: len(state[name])] = state[name]

    def _correct(self, model: int, vector: np.ndarray, step: float) -> None:
        """Take step u uᵀ from a model."""
        if self.n == len(self.steps):
            self._grow()
        self.vectors[self.n], self.steps[self.n], self.models[self.n] = vector, step, model
        self.n += 1
        self.counts[model] += 1

    def _replace(self, model: int) -> None:
        """Copy the inverse of a model, which is kept as a triangle from now on."""
        if self.places[model] < 0:
            self.places[model] = len(self.whole)
            self.whole = np.append(self.whole, model)
            self._drop(model)
        self.triangles[self.places[model]] = self.inverses[model]

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
