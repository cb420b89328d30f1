"""Logistic regression with one weight vector per id: the sanity line beside the network.

On ``features.ObservedFeatures`` that is a weight vector per product: the same information as the
network gets, and no hidden layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from recsys import checks
from recsys.baseline.own_log import described
from recsys.baseline.training import checked_weights
from recsys.policies import ScoringPolicy
from recsys.shop import Featurizer, Log

if TYPE_CHECKING:
    from scipy import sparse

ITERATIONS = 500  # of the optimiser, at most
LARGE = 1_000  # largest value of a column that is taken as it is; 1 / LARGE is the smallest


class LogisticPolicy(ScoringPolicy):
    """Greedy on a logistic regression of ids and features; it does not learn on.

    For each id column every id has a weight vector of its own, over the features of the row and the
    constant 1, which is put before them unless a feature of the log is constant. Without id columns
    there is one weight vector. An id that the log does not hold has weights of zero.

    The penalty asks for features of one size. A column whose largest value in the log is beyond
    1,000, or below 1/1,000, is therefore taken less its mean and over its standard deviation, or
    over its value where it is constant; all others are taken as they are.

    Parameters
    ----------
    rows : (n, m + d) rows, or a Featurizer
        The m id columns come first. A featurizer describes the impressions of a ``Log``.
    clicks : (n,) zeros and ones, or a Log
        What the regression is fitted to.
    inverse_penalty : float
        scikit-learn's ``C``.
    rng : numpy.random.Generator, optional
    vocabularies : m integers, optional
        How many ids each id column of ``rows`` may take, from 0 on; () without ids, as by default.
    sample_weight : (n,), optional
        Non-negative weights of the rows in the log loss; a row of weight 2 counts as two rows.
    n_arms : int, optional
        Number of arms K; by default that of the featurizer's shop, or any number.

    Raises
    ------
    ValueError
        If rows, clicks or weights do not fit together, or all clicks that count are of one kind.

    Warns
    -----
    RuntimeWarning
        If the optimiser did not converge.
    """

    counts_arms = False
    shares_rows = False

    def __init__(
        self,
        rows: Featurizer | ArrayLike,
        clicks: Log | ArrayLike,
        inverse_penalty: float = 0.3,
        rng: np.random.Generator | None = None,
        *,
        vocabularies: Sequence[int] | None = None,
        sample_weight: ArrayLike | None = None,
        n_arms: int | None = None,
    ) -> None:
        if n_arms is None and isinstance(rows, Featurizer):
            n_arms = rows.shop.n_products
        super().__init__(n_arms, rng=rng)
        penalty = checks.number("inverse_penalty", inverse_penalty, 1e-9, 1e9)
        log = described(rows, clicks, vocabularies)
        self.vocabularies, self.row_length = log.vocabularies, log.rows.shape[1]
        labels, weights = checks.binary("clicks", log.clicks), None
        counted = labels
        if sample_weight is not None:
            weights = checked_weights(sample_weight, len(labels))
            counted = labels[weights > 0]
        if len(np.unique(counted)) < 2:
            name = "log" if isinstance(clicks, Log) else "clicks"
            raise ValueError(f"{name}: got clicks of one kind, expected clicks and non-clicks")
        features = log.rows[:, len(self.vocabularies) :]
        self.scaling = _scaling(features)
        constant = (features == features[0]).all(axis=0) & (features[0] != 0.0)
        self.adds_constant = bool(self.vocabularies) and not constant.any()
        self.regression = _regression(self._design(log.rows), labels, weights, penalty)

    def _design(self, contexts: np.ndarray) -> np.ndarray | sparse.csr_matrix:
        """Return rows in which the features stand in the columns of each id of the row.

        Sparse rows (n, (K_1 + ... + K_m) d) for m id columns of K_i ids, with m d numbers each; a
        constant that is put before the features counts in d. Without ids the features themselves.
        """
        m = len(self.vocabularies)
        features = contexts[:, m:]
        if self.scaling is not None:
            features = (features - self.scaling[0]) / self.scaling[1]
        if not m:
            return features
        from scipy import sparse

        if self.adds_constant:
            features = np.column_stack([np.ones(len(contexts)), features])
        n, d = features.shape
        first = np.cumsum((0, *self.vocabularies))
        places = contexts[:, :m].astype(np.int64) + first[:-1]  # each id among those of all columns
        columns = (places[..., None] * d + np.arange(d)).ravel()
        values = np.repeat(features[:, None], m, axis=1).ravel()
        starts = np.arange(0, n * m * d + 1, m * d)
        return sparse.csr_matrix((values, columns, starts), shape=(n, first[-1] * d))

    def _flat(self, contexts: ArrayLike) -> tuple[np.ndarray, tuple[int, ...]]:
        """Return checked context rows (n, columns) and the shape that they had."""
        contexts = checks.finite("contexts", contexts)
        if contexts.ndim == 0 or contexts.shape[-1] != self.row_length:
            wanted = f"(..., {self.row_length})"
            raise ValueError(f"contexts: got shape {contexts.shape}, expected {wanted}")
        for i, size in enumerate(self.vocabularies):
            checks.whole("contexts", contexts[..., i], size)
        return contexts.reshape(-1, self.row_length), contexts.shape[:-1]

    def logits(self, contexts: ArrayLike) -> np.ndarray:
        """Return the logits (...,) of context rows (..., m + d), to decide and to judge by."""
        flat, lead = self._flat(contexts)
        if not len(flat):
            return np.zeros(lead)
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            logits = self.regression.decision_function(self._design(flat))
        if not np.isfinite(logits).all():
            raise ValueError("contexts: got rows without a finite logit, expected smaller features")
        return logits.reshape(lead)

    def predict(self, contexts: ArrayLike) -> np.ndarray:
        """Return click probabilities (...,) for context rows (..., m + d)."""
        return expit(self.logits(contexts))

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the logits (..., K) of the arms."""
        return self.logits(contexts)


def _scaling(features: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what is taken from each column (d,) and what it is divided by; None if nothing is."""
    top = np.abs(features).max(axis=0, initial=0.0)
    uneven = (top > LARGE) | ((top < 1 / LARGE) & (top > 0))
    if not uneven.any():
        return None
    shift, scale = np.zeros(len(top)), np.ones(len(top))
    for c in np.flatnonzero(uneven):
        column = features[:, c] / top[c]  # its square is finite
        mean, spread = column.mean(), column.std()
        varies = spread > 1e-12
        shift[c], scale[c] = (mean * top[c], spread * top[c]) if varies else (0.0, top[c])
    return shift, scale


def _regression(
    design: np.ndarray | sparse.csr_matrix,
    labels: np.ndarray,
    weights: np.ndarray | None,
    penalty: float,
) -> object:
    """Return scikit-learn's fit; its doubts become a warning that says what to do."""
    from sklearn.exceptions import ConvergenceWarning  # here, for its import takes a second
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        regression = LogisticRegression(C=penalty, max_iter=ITERATIONS)
        regression.fit(design, labels, sample_weight=weights)
    for doubt in doubts:
        if not issubclass(doubt.category, ConvergenceWarning):
            warnings.warn_explicit(doubt.message, doubt.category, doubt.filename, doubt.lineno)
    if any(issubclass(doubt.category, ConvergenceWarning) for doubt in doubts):
        warnings.warn(
            f"the logistic regression has not converged in {ITERATIONS} iterations: give a smaller "
            "inverse_penalty, or columns less their mean and over their standard deviation",
            RuntimeWarning,
            stacklevel=3,
        )
    return regression
