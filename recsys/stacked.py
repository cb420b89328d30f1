"""Products of rows with many vectors or matrices at once, one call for all of them.

Shapes: M vectors or matrices, d features; worlds and visits add leading axes.
"""

from __future__ import annotations

import numpy as np


def outer(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return u vᵀ (..., d, d) for vectors (..., d)."""
    return u[..., :, None] * v[..., None, :]


def inner_products(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return vᵀx (..., M) for vectors (..., M, d) and rows (..., M, d), or (..., d) for all."""
    if rows.ndim == vectors.ndim - 1:
        return np.matvec(vectors, rows)
    return np.vecdot(vectors, rows)


def matrix_times_rows(matrices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return Mx (..., M, d) for matrices (..., M, d, d) and rows (..., M, d), or (..., d) for all.

    A row or a matrix that is shared makes it one product of matrices instead of M small ones.
    """
    if rows.ndim == matrices.ndim - 2:
        tall = matrices.reshape(*matrices.shape[:-3], -1, matrices.shape[-1])  # (..., M d, d)
        return np.matvec(tall, rows).reshape(matrices.shape[:-1])
    if matrices.shape[-3] == 1:
        return rows @ matrices[..., 0, :, :].swapaxes(-1, -2)
    return np.matvec(matrices, rows)


def quadratic_forms(matrices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return xᵀMx (..., M) for symmetric matrices (..., M, d, d) and rows (..., M, d)."""
    return np.vecdot(matrix_times_rows(matrices, rows), rows)


class Triangles:
    """The upper triangles of symmetric matrices, for forms xᵀMx in which all share the row x.

    xᵀMx is the sum of Mᵢⱼxᵢxⱼ over all i and j, and the terms (i, j) and (j, i) are equal. So the
    entries above the diagonal are kept doubled and those below it not at all: one product with the
    numbers xᵢxⱼ, i ≤ j, serves all matrices and reads half as much memory.

    Parameters
    ----------
    matrices : ndarray
        Symmetric matrices (..., M, d, d), which are copied.
    """

    def __init__(self, matrices: np.ndarray) -> None:
        d = matrices.shape[-1]
        self.i, self.j = np.triu_indices(d)
        self.place = d * self.i + self.j  # in a matrix written as one row
        self.times = np.where(self.i == self.j, 1.0, 2.0)
        self.entries = np.empty((*matrices.shape[:-2], len(self.i)))  # (..., M, d(d+1)/2)
        self[...] = matrices

    def __setitem__(self, at: tuple, matrices: np.ndarray) -> None:
        """Copy other matrices to the places ``at``."""
        flat = matrices.reshape(*matrices.shape[:-2], -1)
        self.entries[at] = flat.take(self.place, axis=-1) * self.times

    def forms(self, rows: np.ndarray) -> np.ndarray:
        """Return xᵀMx (..., M) for rows (..., d)."""
        pairs = rows.take(self.i, axis=-1) * rows.take(self.j, axis=-1)  # take is quicker than []
        return np.matvec(self.entries, pairs)
