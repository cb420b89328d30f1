"""Sums Σ x xᵀ of many models that grow a row at a time and are seldom read.

A matrix A is needed only where its inverse is computed afresh, so a row is put aside as it is, d
numbers, and its outer product is added later, with those of many other rows in a few calls.

Shapes: n models, d features; S rows come together, one from each world, or one alone.
"""

from __future__ import annotations

import numpy as np

from recsys.linear.packed import Packing

WAITING = 2**18  # numbers that the outer products of the rows put aside may take


class LateSums:
    """Sums (n, d(d+1)/2), as packed triangles, and the rows that are not added yet.

    Parameters
    ----------
    sums : ndarray (n, d(d+1)/2)
        The sums without any row; changed in place.
    packing : Packing
    n_worlds : int
        Number S of rows that come together.
    """

    def __init__(self, sums: np.ndarray, packing: Packing, n_worlds: int = 1) -> None:
        self.sums, self.packing = sums, packing
        room = max(1, WAITING // (n_worlds * packing.size))
        self.rows = np.zeros((room, n_worlds, packing.d))
        self.models = np.zeros((room, n_worlds), dtype=np.int64)
        self.n = 0  # rounds put aside

    def put_aside(self, models: int | np.ndarray, x: np.ndarray) -> None:
        """Take a row (d,) of one model, or rows (S, d) of S different ones."""
        if self.n == len(self.rows):
            self.settle()
        self.rows[self.n], self.models[self.n] = x, models
        self.n += 1

    def settle(self) -> None:
        """Add what was put aside, one row of each model after the other.

        A model's rows are added in their order, so the sums are the same to the last bit as if
        every row had been added when it came.
        """
        if self.n == 0:
            return
        models = self.models[: self.n].ravel()
        rows = self.rows[: self.n].reshape(len(models), -1)
        order = np.argsort(models, kind="stable")
        _, starts, counts = np.unique(models[order], return_index=True, return_counts=True)
        turn = np.arange(len(models)) - np.repeat(starts, counts)  # first, second, ... of its model
        by_turn = order[np.argsort(turn, kind="stable")]
        models, added = models[by_turn], self.packing.outer(rows[by_turn])
        ends = np.cumsum(np.bincount(turn))
        for start, end in zip((0, *ends[:-1]), ends, strict=True):
            self.sums[models[start:end]] += added[start:end]
        self.n = 0
