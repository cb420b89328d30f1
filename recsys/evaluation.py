"""How good is it: bands over seeds, log loss against the irreducible loss, AUC, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import rel_entr, xlog1py, xlogy
from sklearn.metrics import roc_auc_score

from recsys import checks
from recsys.records import Log

LEVEL = 0.95  # confidence level of every band of the book


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its Student-t confidence band (``eq-band``)."""

    mean: float
    low: float
    high: float
    n: int  # seeds

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole band lies on one side of zero."""
        return self.low > 0 or self.high < 0


def band(samples: ArrayLike, level: float = LEVEL) -> Estimate:
    """Return the mean of one number per seed with its confidence band.

    Parameters
    ----------
    samples : (S,) one value for each seed, S >= 2
    level : float
        Confidence level in (0, 1).
    """
    samples = checks.finite("samples", samples, (None,))
    mean, half = band_curve(samples[:, None], level)
    return Estimate(
        float(mean[0]), float(mean[0] - half[0]), float(mean[0] + half[0]), len(samples)
    )


def band_curve(samples: ArrayLike, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (T,) and half-width (T,) of the band at each point of curves (S, T)."""
    samples = checks.finite("samples", samples, (None, None))
    if not 0.0 < checks.number("level", level, 0.0, 1.0) < 1.0:
        raise ValueError(f"level: got {level!r}, expected a number strictly between 0 and 1")
    n = len(samples)
    if n < 2:
        raise ValueError(f"samples: got {n} seed(s), expected at least 2")
    quantile = stats.t.ppf(0.5 + level / 2, df=n - 1)
    return samples.mean(axis=0), quantile * samples.std(axis=0, ddof=1) / np.sqrt(n)


def paired_band(first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Estimate:
    """Return the band of the mean difference first - second, seed by seed.

    The two are played on the same seeds with common random numbers, so what the seeds share
    cancels; "better" is said only where this band excludes zero.
    """
    first = checks.finite("first", first, (None,))
    second = checks.finite("second", second, first.shape)
    return band(first - second, level)


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
