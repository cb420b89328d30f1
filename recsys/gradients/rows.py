"""Rows on their way through a network: checked, and in chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from recsys import checks


def all_finite(x: torch.Tensor) -> bool:
    """Return whether no number of x is infinite or NaN.

    Where the sum is finite, all are; only where it is not, as it may overflow, each is looked at.
    """
    return math.isfinite(float(x.sum())) or bool(torch.isfinite(x).all())


def rows_for(model: nn.Module, X: ArrayLike | torch.Tensor) -> torch.Tensor:
    """Return context rows (..., K, d) as a tensor of the model's dtype and device, checked."""
    like = next(model.parameters(), None)
    if like is None:
        raise ValueError("model: got one without parameters, expected at least one layer")
    rows = X
    if not isinstance(X, torch.Tensor):  # which takes no rows that run backwards
        rows = torch.tensor(np.ascontiguousarray(checks.finite("X", X)))
    if rows.ndim < 2 or rows.dtype == torch.bool or rows.is_complex():
        found = f"{rows.dtype} of shape {tuple(rows.shape)}"
        raise ValueError(f"X: got {found}, expected real numbers of shape (..., K, d)")
    rows = rows.detach().to(like.device, like.dtype)
    if not all_finite(rows):
        raise ValueError(f"X: got a value that is no finite {like.dtype}, expected finite numbers")
    return rows


def chunks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of at most ``size`` that cover ``range(n)`` in order."""
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def n_rows_within(n_bytes: int, per_row: int) -> int:
    """Return how many rows of ``per_row`` bytes fit in ``n_bytes``, at least one."""
    return max(1, n_bytes // max(1, per_row))
