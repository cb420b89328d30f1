"""How good is it: log loss against the irreducible loss, AUC, and what a log says of products.

No measure depends on the order of the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_expit, rel_entr, xlog1py, xlogy

from recsys import checks
from recsys.lab import columns
from recsys.shop import Log

# ---------------------------------------------------------------------- predictions


def expected_log_loss(
    truth: ArrayLike, predicted: ArrayLike | None = None, *, logits: ArrayLike | None = None
) -> float:
    """Return the mean expected log loss in nats of predictions, given the true probabilities.

    The cross-entropy of ``prop-proper-scoring``: no click is drawn, so no sampling noise.

    Parameters
    ----------
    truth : array of any shape
        True probabilities, or clicks.
    predicted : array of the same shape
        Predicted probabilities; infinite loss where 0 or 1 is predicted and wrong.
    logits : array of the same shape
        In their place the logits of the predictions: the loss is finite then.

    Raises
    ------
    ValueError
        If neither or both of ``predicted`` and ``logits`` are given, or an array does not fit.
    """
    if logits is None:
        p, q = _predictions(truth, predicted)
        return float(-np.mean(xlogy(p, q) + xlog1py(1 - p, -q)))
    p, z = _with_logits(truth, predicted, logits)
    return _mean(-(p * log_expit(z) + (1 - p) * log_expit(-z)))


def irreducible_loss(truth: ArrayLike) -> float:
    """Return the mean entropy in nats of the true probabilities: no model has a lower log loss."""
    return expected_log_loss(truth, truth)


def excess_loss(
    truth: ArrayLike, predicted: ArrayLike | None = None, *, logits: ArrayLike | None = None
) -> float:
    """Return the mean Kullback-Leibler divergence in nats: log loss above the irreducible one.

    As for ``expected_log_loss``; with logits it is finite.
    """
    if logits is None:
        p, q = _predictions(truth, predicted)
        return float(np.mean(rel_entr(p, q) + rel_entr(1 - p, 1 - q)))
    p, z = _with_logits(truth, predicted, logits)
    click = xlogy(p, p) - p * log_expit(z)
    no_click = xlog1py(1 - p, -p) - (1 - p) * log_expit(-z)
    return _mean(np.maximum(click + no_click, 0.0))  # below 0 by rounding only


def normalised_entropy(
    truth: ArrayLike, predicted: ArrayLike | None = None, *, logits: ArrayLike | None = None
) -> float:
    """Return the log loss over that of a constant which knows the mean of ``truth``.

    The normalised entropy of He et al. (2014): 1 for that constant, more for what is worse.
    Losses of audiences that click more or less often can be compared after this division.

    Parameters
    ----------
    truth, predicted, logits :
        As for ``expected_log_loss``.

    Raises
    ------
    ValueError
        As from ``expected_log_loss``, or if the mean is 0 or 1: then there is nothing to predict.
    """
    loss = expected_log_loss(truth, predicted, logits=logits)
    mean = columns.outcomes("truth", truth).mean()
    if not 0.0 < mean < 1.0:
        raise ValueError(f"truth: got a mean of {mean}, expected clicks and non-clicks")
    return loss / irreducible_loss(np.array([mean]))


def auc(clicks: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: P(a click scores above a non-click), ties half.

    Parameters
    ----------
    clicks : (n,) zeros and ones, of both kinds
    scores : (n,) finite numbers: probabilities, or better their logits, which tie less often

    Raises
    ------
    ValueError
        If the columns are not of one length, or all clicks are of one kind.
    """
    columns.same_rows(clicks, scores, "scores")
    clicks, scores = columns.clicks("clicks", clicks), columns.numbers("scores", scores)
    columns.same_shape(clicks, scores, "scores")
    if clicks.ndim != 1:
        raise ValueError(f"clicks: got shape {clicks.shape}, expected (n,)")
    if not clicks.size or clicks.min() == clicks.max():
        raise ValueError("clicks: got one class only, expected clicks and non-clicks")
    from sklearn.metrics import (
        roc_auc_score,
    )  # here, for its import takes longer than most pages' work

    # the order of the scores is all that counts; their differences may be beyond every float
    return float(roc_auc_score(clicks, np.unique(scores, return_inverse=True)[1]))


# ---------------------------------------------------------------------- logs


def naive_rates(log: Log, n_products: int) -> np.ndarray:
    """Return clicks per impression of each product; NaN where it was never shown."""
    products = _products(log, n_products)
    shown = np.bincount(products, minlength=n_products)
    clicks = np.bincount(products, weights=_clicks(log), minlength=n_products)
    return np.divide(clicks, shown, out=np.full(n_products, np.nan), where=shown > 0)


def ips_rates(log: Log, n_products: int) -> np.ndarray:
    """Return the click rate each product would have if shown to everybody (``prop-ips``)."""
    products = _products(log, n_products)
    columns.same_rows(log.products, log.propensities, "log.propensities")
    propensities = columns.probabilities("log.propensities", log.propensities)
    columns.same_shape(propensities, products, "log.propensities")
    clicks = _clicks(log)
    if not len(products) or propensities.min() == 0:
        raise ValueError("log: got no rows or a propensity of 0, expected positive propensities")
    weights = clicks / propensities
    return np.bincount(products, weights=weights, minlength=n_products) / len(products)


def effective_number(products: ArrayLike, n_products: int) -> float:
    """Return exp(entropy) of the exposure: how many equally shown products it amounts to."""
    products = columns.ids("products", products, checks.integer("n_products", n_products, 1))
    if not products.size:
        raise ValueError("products: got none, expected at least one")
    share = np.bincount(products, minlength=n_products)
    share = share / share.sum()
    return float(np.exp(-xlogy(share, share).sum()))


def _products(log: Log, n_products: int) -> np.ndarray:
    return columns.ids("log.products", log.products, checks.integer("n_products", n_products, 1))


def _clicks(log: Log) -> np.ndarray:
    columns.same_rows(log.products, log.clicks, "log.clicks")
    clicks = columns.clicks("log.clicks", log.clicks)
    columns.same_shape(clicks, np.asarray(log.products), "log.clicks")
    return clicks


def _predictions(
    truth: ArrayLike, predicted: ArrayLike | None, name: str = "predicted"
) -> tuple[np.ndarray, np.ndarray]:
    """Return true and predicted probabilities of one shape, or with another name their logits."""
    columns.same_rows(truth, predicted, name)
    p = columns.outcomes("truth", truth)
    of_kind = columns.probabilities if name == "predicted" else columns.numbers
    # the truth itself may be what is predicted, clicks as booleans included
    q = p if predicted is truth else of_kind(name, predicted)
    columns.same_shape(p, q, name)
    if not p.size:
        raise ValueError("truth: got no probabilities, expected at least one")
    return p, q


def _with_logits(
    truth: ArrayLike, predicted: ArrayLike | None, logits: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    if predicted is not None:
        raise ValueError("predicted: got probabilities and logits, expected one of the two")
    return _predictions(truth, logits, "logits")


def _mean(losses: np.ndarray) -> float:
    """Return the mean of finite losses, whose sum may be beyond every float."""
    scale = max(1.0, losses.max())
    return float(scale * np.mean(losses / scale))
