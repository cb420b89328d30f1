"""How good is it: log loss against the irreducible loss, AUC, calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr, xlog1py, xlogy

from recsys import checks
from recsys.shop import Log

# ---------------------------------------------------------------------- predictions


def expected_log_loss(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean expected log loss in nats of predictions, given the true probabilities.

    The cross-entropy of ``prop-proper-scoring``: no click is drawn, so no sampling noise.
    """
    p, q = _predictions(truth, predicted)
    return float(-np.mean(xlogy(p, q) + xlog1py(1 - p, -q)))


def irreducible_loss(truth: ArrayLike) -> float:
    """Return the mean entropy in nats of the true probabilities: no model has a lower log loss."""
    return expected_log_loss(truth, truth)


def excess_loss(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean Kullback-Leibler divergence in nats: log loss above the irreducible one."""
    p, q = _predictions(truth, predicted)
    return float(np.mean(rel_entr(p, q) + rel_entr(1 - p, 1 - q)))


def auc(clicks: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: P(a click scores above a non-click), ties half."""
    clicks, scores = checks.binary("clicks", clicks), checks.finite("scores", scores)
    _same_shape(clicks, scores)
    if not clicks.size or clicks.min() == clicks.max():
        raise ValueError("clicks: got one class only, expected clicks and non-clicks")
    from sklearn.metrics import (
        roc_auc_score,
    )  # here, for its import takes longer than most pages' work

    return float(roc_auc_score(clicks, scores))


def reliability(
    predicted: ArrayLike, outcome: ArrayLike, bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean prediction, mean outcome and count in bins of equal size by prediction.

    ``outcome`` holds clicks, or true probabilities where they are known.
    """
    predicted = checks.probabilities("predicted", predicted)
    outcome = checks.probabilities("outcome", outcome)
    _same_shape(predicted, outcome)
    if predicted.ndim != 1:
        raise ValueError(f"predicted: got shape {predicted.shape}, expected (n,)")
    bins = checks.integer("bins", bins, 1, predicted.size)
    groups = np.array_split(np.argsort(predicted, kind="stable"), bins)
    pairs = [(predicted[g].mean(), outcome[g].mean(), len(g)) for g in groups]
    return tuple(np.array(column) for column in zip(*pairs, strict=True))


def calibration_error(predicted: ArrayLike, outcome: ArrayLike, bins: int = 10) -> float:
    """Return the mean absolute gap between prediction and outcome over equal-size bins."""
    mean, rate, count = reliability(predicted, outcome, bins)
    return float(np.average(np.abs(mean - rate), weights=count))


# ---------------------------------------------------------------------- logs


def naive_rates(log: Log, n_products: int) -> np.ndarray:
    """Return clicks per impression of each product; NaN where it was never shown."""
    products = _products(log, n_products)
    shown = np.bincount(products, minlength=n_products)
    clicks = np.bincount(products, weights=log.clicks, minlength=n_products)
    return np.divide(clicks, shown, out=np.full(n_products, np.nan), where=shown > 0)


def ips_rates(log: Log, n_products: int) -> np.ndarray:
    """Return the click rate each product would have if shown to everybody (``prop-ips``)."""
    products = _products(log, n_products)
    propensities = checks.probabilities("log.propensities", log.propensities)
    if not len(log) or propensities.min() == 0:
        raise ValueError("log: got no rows or a propensity of 0, expected positive propensities")
    weights = log.clicks / propensities
    return np.bincount(products, weights=weights, minlength=n_products) / len(log)


def effective_number(products: ArrayLike, n_products: int) -> float:
    """Return exp(entropy) of the exposure: how many equally shown products it amounts to."""
    products = checks.ids("products", products, checks.integer("n_products", n_products, 1))
    if not products.size:
        raise ValueError("products: got none, expected at least one")
    share = np.bincount(products, minlength=n_products)
    share = share / share.sum()
    return float(np.exp(-xlogy(share, share).sum()))


def _products(log: Log, n_products: int) -> np.ndarray:
    return checks.ids("log.products", log.products, checks.integer("n_products", n_products, 1))


def _predictions(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, q = checks.probabilities("truth", truth), checks.probabilities("predicted", predicted)
    _same_shape(p, q)
    if not p.size:
        raise ValueError("truth: got no probabilities, expected at least one")
    return p, q


def _same_shape(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise ValueError(
            f"predicted: got shapes {first.shape} and {second.shape}, expected the same shape"
        )
