"""Products of rows with many vectors or matrices at once, one call for all of them.

Shapes: M vectors or matrices, d features; worlds and visits add leading axes.
"""

from __future__ import annotations

import numpy as np


def outer(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return u vᵀ (..., d, d) for vectors (..., d)."""
    return u[..., :, None] * v[..., None, :]


def matvec(matrices: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return Mx for one matrix (m, d) and one row (d,), or for a stack of each.

    For a single pair ``dot`` is the same product and takes half the time to call.
    """
    return matrices.dot(x) if matrices.ndim == 2 else np.matvec(matrices, x)


def vecdot(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return uᵀv for vectors (d,), or for a stack of each; see ``matvec``."""
    return u.dot(v) if u.ndim == 1 else np.vecdot(u, v)


def within(values: np.ndarray, low: float, high: float) -> bool:
    """Return whether all values (S,) lie between two bounds."""
    return low <= values.min() and values.max() <= high


def outside(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return which values (S,) do not lie between two bounds."""
    return ~((low <= values) & (values <= high))


def inner_products(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return vᵀx (..., M) for vectors (..., M, d) and rows (..., M, d), or (..., d) for all."""
    if rows.ndim == vectors.ndim - 1:
        return matvec(vectors, rows)
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
