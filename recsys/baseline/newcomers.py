"""Rows of newcomers: an embedding table's rows that no impression has trained, and better ones.

Both functions return a copy; the network that they are given stays as it is.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import ArrayLike

from recsys import checks, worlds
from recsys.baseline.click_network import ClickNetwork


def with_fresh_rows(
    model: ClickNetwork, ids: ArrayLike, seed: int, column: int = -1
) -> ClickNetwork:
    """Return the network with the rows of some ids as on another first day.

    They are drawn from the distribution of the untrained embeddings, so for ids that were not in
    the log another seed gives the network that another start would have given, batches apart.

    Parameters
    ----------
    model : ClickNetwork
    ids : (n,) of the ids whose rows are drawn
    seed : int
    column : int
        Which id column of the context rows; by default the last.

    Raises
    ------
    ValueError
        If the network has no such column, or the column no such id.
    """
    fresh, table = _copy(model, column)
    rows = checks.ids("ids", ids, len(table))
    draws = torch.Generator().manual_seed(worlds.shifted(checks.integer("seed", seed, 0)) % 2**64)
    drawn = torch.randn(len(rows), table.shape[1], generator=draws, dtype=table.dtype)
    table[rows] = model.settings["embedding_scale"] * drawn.to(table.device)
    return fresh


def with_borrowed_rows(
    model: ClickNetwork, ids: ArrayLike, known: ArrayLike, kinds: ArrayLike, column: int = -1
) -> ClickNetwork:
    """Return the network with each of some ids on the mean row of the known ids most like it.

    The known ids of the same kind count; where there is none, those that share as many of the
    first attributes as any does.

    Parameters
    ----------
    model : ClickNetwork
    ids : (n,) of the ids that borrow
    known : (m,) of the ids that lend
    kinds : (vocabulary, attributes) integers or levels
        The attributes of every id, the most telling one first.
    column : int
        Which id column of the context rows; by default the last.

    Raises
    ------
    ValueError
        If an id is out of range, nobody lends, or ``kinds`` has another number of rows.
    """
    borrowed, table = _copy(model, column)
    takers = checks.ids("ids", ids, len(table))
    lenders = checks.ids("known", known, len(table))
    kinds = checks.finite("kinds", kinds, (len(table), None))
    if not len(lenders):
        raise ValueError("known: got no ids, expected at least one")
    alike = kinds[takers, None] == kinds[lenders]  # (n, m, attributes)
    in_common = np.cumprod(alike, axis=2).sum(axis=2)  # how many of the first attributes agree
    nearest = in_common == in_common.max(axis=1, keepdims=True)
    shares = nearest / nearest.sum(axis=1, keepdims=True)  # (n, m)
    lent = torch.as_tensor(shares, dtype=table.dtype, device=table.device) @ table[lenders]
    table[takers] = lent
    return borrowed


def _copy(model: ClickNetwork, column: int) -> tuple[ClickNetwork, torch.Tensor]:
    """Return a copy of the network and the weights of one of its tables."""
    n = len(model.embeddings)
    if not n:
        raise ValueError("model: got a network without id columns, expected at least one")
    column = checks.integer("column", column, -n, n - 1)
    changed = copy.deepcopy(model)
    return changed, changed.embeddings[column].weight.data
