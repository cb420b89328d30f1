"""Symmetric matrices as their upper triangles: d(d+1)/2 numbers in the place of d².

A⁻¹ is symmetric, so half of it says all, and half the memory is read and written. Its entries stand
row by row, which is how BLAS packs a lower triangle column by column, so a product Mx and a
correction M + c v vᵀ are one call each, and M cannot lose its symmetry. xᵀMx is the sum of
M_ij x_i x_j over all i and j, where the terms (i, j) and (j, i) are equal: one product with the
numbers x_i x_j, those off the diagonal doubled, serves all matrices whose models share the row x.

Shapes: M matrices (d, d) are rows (M, d(d+1)/2); worlds add a leading axis.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dspmv, dspr

from recsys.linear.products import matvec


class Packing:
    """The places of a triangle's entries, for matrices of d rows and columns."""

    def __init__(self, d: int) -> None:
        self.i, self.j = i, j = np.triu_indices(d)
        self.size = len(i)
        self.twice = np.where(i == j, 1.0, 2.0)
        self._entries = d * i + j  # of a matrix written as one row
        whole = np.empty((d, d), dtype=np.int64)
        whole[i, j] = whole[j, i] = np.arange(self.size)
        self._whole = whole.ravel()
        self.d = d

    def pack(self, matrices: np.ndarray) -> np.ndarray:
        """Return symmetric matrices (..., d, d) as triangles (..., d(d+1)/2)."""
        return matrices.reshape(*matrices.shape[:-2], -1).take(self._entries, axis=-1)

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Return triangles as whole matrices (..., d, d)."""
        return packed.take(self._whole, axis=-1).reshape(*packed.shape[:-1], self.d, self.d)

    def outer(self, v: np.ndarray) -> np.ndarray:
        """Return the triangles of v vᵀ for vectors (..., d)."""
        return v.take(self.i, axis=-1) * v.take(self.j, axis=-1)  # take is quicker than []

    def forms(self, packed: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return xᵀMx (..., M) for triangles (..., M, d(d+1)/2) and a row (..., d) for all M."""
        products = self.outer(x)
        products *= self.twice
        return matvec(packed, products)


def times(packed: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return Mx (d,) for one triangle."""
    return dspmv(len(x), 1.0, packed, x, lower=1)


def add_outer(packed: np.ndarray, c: float, v: np.ndarray) -> None:
    """Add c v vᵀ to one triangle in place."""
    dspr(len(v), c, v, packed, lower=1, overwrite_ap=1)
