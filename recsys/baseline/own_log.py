"""The rows that a model of chapter 1 is fitted to: a shop's log, or arrays of somebody's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks
from recsys.shop import Featurizer, Log


class Rows(NamedTuple):
    """Rows with their clicks, and which of their columns are ids."""

    rows: np.ndarray  # (n, m + d): ids first
    clicks: np.ndarray  # (n,)
    vocabularies: tuple[int, ...]  # (m,) sizes of the id columns

    @property
    def n_features(self) -> int:
        """Number of feature columns d."""
        return self.rows.shape[1] - len(self.vocabularies)


def described(
    rows: Featurizer | ArrayLike,
    clicks: Log | ArrayLike,
    vocabularies: Sequence[int] | None = None,
) -> Rows:
    """Return the rows of a featurizer and its log, or rows and clicks (n,) as they come.

    Raises
    ------
    ValueError
        If an id is not in [0, size), rows and clicks are of different lengths or kinds, or
        ``vocabularies`` are given beside a featurizer, which has its own.
    """
    if isinstance(rows, Featurizer) != isinstance(clicks, Log):
        found = f"{type(rows).__name__} and {type(clicks).__name__}"
        raise ValueError(
            f"clicks: got {found}, expected a featurizer and its Log, or rows (n, m + d) and "
            "clicks (n,)"
        )
    if isinstance(rows, Featurizer):
        if vocabularies is not None:
            raise ValueError(
                f"vocabularies: got {vocabularies!r} beside a featurizer, expected none: it has "
                f"{rows.vocabularies}"
            )
        vocabularies = rows.vocabularies
        rows, clicks = rows.rows(clicks.users, clicks.products, clicks.rounds), clicks.clicks
    sizes = checked_sizes(vocabularies)
    table = checks.finite("rows", rows, (None, None))
    if not len(sizes) <= table.shape[1] or not table.size:
        raise ValueError(
            f"rows: got shape {table.shape}, expected {len(sizes)} id columns, then the features"
        )
    for i, size in enumerate(sizes):
        checks.whole(f"rows[:, {i}]", table[:, i], size)
    labels = checks.binary("clicks", clicks)
    if labels.shape != (len(table),):
        raise ValueError(f"clicks: got shape {labels.shape}, expected ({len(table)},)")
    return Rows(table, labels, sizes)


def checked_sizes(vocabularies: Sequence[int] | None) -> tuple[int, ...]:
    """Return the sizes of id columns, or refuse them."""
    if vocabularies is None:
        return ()
    if not isinstance(vocabularies, tuple | list):
        raise ValueError(f"vocabularies: got {vocabularies!r}, expected a tuple of integers")
    return tuple(checks.integer("vocabularies", size, 1) for size in vocabularies)
