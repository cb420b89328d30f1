"""Logistic regression with one weight vector per product: the sanity line beside the network.

The same information as ``features.ObservedFeatures`` gives the network, and no hidden layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks
from recsys.policies import ScoringPolicy
from recsys.shop import Log, ObservedFeatures

if TYPE_CHECKING:
    from scipy import sparse


class LogisticPolicy(ScoringPolicy):
    """Greedy on a logistic regression of (product, user features); it does not learn on.

    Parameters
    ----------
    featurizer : ObservedFeatures
        Rows (product id, user features).
    log : Log
        What the regression is fitted to.
    inverse_penalty : float
        scikit-learn's ``C``.
    rng : numpy.random.Generator, optional
    """

    def __init__(
        self,
        featurizer: ObservedFeatures,
        log: Log,
        inverse_penalty: float = 0.3,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(featurizer.shop.n_products, rng=rng)
        penalty = checks.number("inverse_penalty", inverse_penalty, 1e-9, 1e9)
        if len(np.unique(log.clicks)) < 2:
            raise ValueError("log: got clicks of one kind, expected clicks and non-clicks")
        self.row_length = 1 + featurizer.n_features
        rows = self._design(featurizer.rows(log.users, log.products, log.rounds))
        from sklearn.linear_model import LogisticRegression  # here, for its import takes a second

        self.regression = LogisticRegression(C=penalty, max_iter=500).fit(rows, log.clicks)

    def _design(self, contexts: np.ndarray) -> sparse.csr_matrix:
        """Sparse rows (n, K d): the user features in the columns of the row's product."""
        from scipy import sparse

        arms, features = contexts[:, 0].astype(np.int64), contexts[:, 1:]
        n, d = features.shape
        columns = (arms[:, None] * d + np.arange(d)).ravel()
        starts = np.arange(0, n * d + 1, d)
        return sparse.csr_matrix((features.ravel(), columns, starts), shape=(n, self.n_arms * d))

    def predict(self, contexts: ArrayLike) -> np.ndarray:
        """Return click probabilities (...,) for context rows (..., 1 + d)."""
        contexts = checks.finite("contexts", contexts)
        if contexts.ndim == 0 or contexts.shape[-1] != self.row_length:
            wanted = f"(..., {self.row_length})"
            raise ValueError(f"contexts: got shape {contexts.shape}, expected {wanted}")
        checks.whole("contexts", contexts[..., 0], self.n_arms)
        rows = self._design(contexts.reshape(-1, contexts.shape[-1]))
        return self.regression.predict_proba(rows)[:, 1].reshape(contexts.shape[:-1])

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the predicted click probabilities (..., K)."""
        return self.predict(contexts)
